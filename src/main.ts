#!/usr/bin/env node
import { whyTooOld } from './cli/node-version.ts';
import { watchHangups, watchSignals, watchUpgrades } from './cli/signals.ts';
import { outliveTerminals } from './cli/terminals.ts';

/** Commands that end in order at a signal. They heed one that comes before the rest of the program is loaded, too. */
const SERVING = ['start', 'demo', 'broker', 'agent'];

const tooOld = whyTooOld(process.versions.node);
if (tooOld !== undefined) {
  console.error(`error: ${tooOld}`);
  process.exit(1);
}
const [, , command = ''] = process.argv;
outliveTerminals();
if (SERVING.includes(command)) watchSignals();
if (command === 'start') {
  watchHangups();
  watchUpgrades();
}
const { runCli } = await import('./cli/program.ts');
const code = await runCli(process.argv);
// A proxy has closed and told everything: nothing that is still under way, such as a question to a resolver, keeps it.
if (command === 'start') process.exit(code);
process.exitCode = code;
