// The stock @polkadot/api reads staking of a node: `node staking.mjs ws://127.0.0.1:9944 STAKER`.
// Prints one JSON document; the Python test beside it asserts what it says. Asked is what explorers
// ask; slashes are in a module of their own here, which they do not know.
import { ApiPromise, WsProvider } from '@polkadot/api';

const [, , url, staker] = process.argv;
const seconds = 60;
setTimeout(() => { console.error(`no answer within ${seconds} s`); process.exit(75); }, seconds * 1000).unref();

const ALICE = '5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu';
const api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true, throwOnConnect: true });
const { account, electedInfo, waitingInfo, validators, overview, stashes, currentPoints, erasPoints, erasRewards, erasPrefs, erasExposure, stakerRewards } = api.derive.staking;
const answers = {};
for (const [name, ask] of Object.entries({
  validators: () => validators(),
  overview: () => overview(),
  stashes: () => stashes(),
  account: () => account(ALICE),
  staker: () => account(staker),
  electedInfo: () => electedInfo(),
  waitingInfo: () => waitingInfo(),
  currentPoints: () => currentPoints(),
  erasPoints: () => erasPoints(),
  erasRewards: () => erasRewards(),
  erasPrefs: () => erasPrefs(),
  erasExposure: () => erasExposure(),
  stakerRewards: () => stakerRewards(staker),
})) answers[name] = await ask();
const entries = await api.query.staking.nominators.entries();
answers.nominators = entries.map(([key]) => key.args[0].toString());

console.log(JSON.stringify(answers));
await api.disconnect();
process.exit(0);
