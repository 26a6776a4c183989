// The stock @polkadot/api against one node: `node polkadot.mjs ws://127.0.0.1:9944`.
// Prints one JSON document; the Python test beside it asserts what it says.
import { ApiPromise, WsProvider } from '@polkadot/api';
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady } from '@polkadot/util-crypto';

const url = process.argv[2];
const seconds = 60;
setTimeout(() => { console.error(`no answer within ${seconds} s`); process.exit(75); }, seconds * 1000).unref();

function follow (api, extrinsic, signer) {
  return new Promise((resolve, reject) => {
    extrinsic.signAndSend(signer, { era: 64 }, ({ status, events, dispatchError, txHash, txIndex }) => {
      if (status.isInvalid || status.isDropped || status.isUsurped) reject(new Error(status.type));
      if (!status.isFinalized) return;
      let error = null;
      if (dispatchError?.isModule) {
        const meta = api.registry.findMetaError(dispatchError.asModule);
        error = { module: meta.section, name: meta.name, docs: meta.docs.join(' ') };
      } else if (dispatchError) {
        error = { other: dispatchError.toString() };
      }
      resolve({
        block: status.asFinalized.toHex(), hash: txHash.toHex(), index: txIndex, error,
        events: events.map(({ event }) => ({ name: `${event.section}.${event.method}`, data: event.data.toHuman() })),
      });
    }).catch(reject);
  });
}

await cryptoWaitReady();
const api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true, throwOnConnect: true });
const keyring = new Keyring({ type: 'ed25519', ss58Format: api.registry.chainSS58 });
const alice = keyring.addFromUri('//Alice');
const bob = keyring.addFromUri('//Bob');

const heads = await new Promise((resolve, reject) => {
  const seen = [];
  let stop;
  api.rpc.chain.subscribeFinalizedHeads((header) => {
    seen.push({ number: header.number.toNumber(), hash: header.hash.toHex() });
    if (seen.length === 3) { stop?.(); resolve(seen); }
  }).then((unsubscribe) => { stop = unsubscribe; }, reject);
});
const last = heads.at(-1);
const header = await api.rpc.chain.getHeader(last.hash);
const block = await api.rpc.chain.getBlock(last.hash);
const hashByNumber = await api.rpc.chain.getBlockHash(last.number);
const before = await api.query.system.account(bob.address);
const validators = await api.query.session.validators();
const info = await api.tx.balances.transferKeepAlive(bob.address, 1_000_000_000n).paymentInfo(alice);
const paid = await follow(api, api.tx.balances.transferKeepAlive(bob.address, 12_500_000_000n), alice);
const after = await api.query.system.account(bob.address);
const failed = await follow(api, api.tx.balances.transferKeepAlive(bob.address, 10n ** 18n), alice);
const at = await api.at(paid.block);
const eventsAt = await at.query.system.events();

console.log(JSON.stringify({
  chain: (await api.rpc.system.chain()).toString(),
  properties: (await api.rpc.system.properties()).toHuman(),
  metadataVersion: api.runtimeMetadata.version,
  specName: api.runtimeVersion.specName.toString(),
  alice: alice.address,
  genesis: api.genesisHash.toHex(),
  heads,
  headerHash: header.hash.toHex(),
  digest: header.digest.logs.map((log) => log.type),
  blockHash: block.block.header.hash.toHex(),
  extrinsics: block.block.extrinsics.map((x) => `${x.method.section}.${x.method.method}`),
  hashByNumber: hashByNumber.toHex(),
  validators: validators.length,
  partialFee: info.partialFee.toString(),
  before: before.data.free.toString(),
  after: after.data.free.toString(),
  paid,
  failed,
  eventsAt: eventsAt.length,
  health: (await api.rpc.system.health()).toJSON(),
}));
await api.disconnect();
process.exit(0);
