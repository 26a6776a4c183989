// js-libp2p 3 is written for Node.js 22; the one thing that Node.js 20 lacks fits in a line.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
