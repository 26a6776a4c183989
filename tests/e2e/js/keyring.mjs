// The stock @polkadot/keyring and our keystore files, both ways.
//   node keyring.mjs write <password> <uri>     prints a keystore made by polkadot-js
//   node keyring.mjs open <file> <password>     opens ours, prints address and a signature of "gristmill"
//   node keyring.mjs address <uri>              prints the ed25519 address of a secret URI
import { readFileSync } from 'node:fs';
import { Keyring } from '@polkadot/keyring';
import { cryptoWaitReady } from '@polkadot/util-crypto';
import { stringToU8a, u8aToHex } from '@polkadot/util';

await cryptoWaitReady();
const keyring = new Keyring({ type: 'ed25519', ss58Format: 42 });
const [verb, first, second] = process.argv.slice(2);
if (verb === 'write') {
  const pair = keyring.addFromUri(second, { name: 'stock' }, 'ed25519');
  console.log(JSON.stringify(pair.toJson(first)));
} else if (verb === 'open') {
  const pair = keyring.addFromJson(JSON.parse(readFileSync(first, 'utf8')));
  pair.decodePkcs8(second);
  console.log(JSON.stringify({ address: pair.address, signature: u8aToHex(pair.sign(stringToU8a('gristmill'))) }));
} else if (verb === 'address') {
  console.log(JSON.stringify({ address: keyring.addFromUri(first).address }));
} else {
  console.error('verbs: write, open, address');
  process.exit(64);
}
