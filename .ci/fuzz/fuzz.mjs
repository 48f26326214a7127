import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { writeCase } from './corpus.mjs';
import { supervise } from './supervise.mjs';
import { targets } from './targets.mjs';

const usage = `pnpm fuzz [--executions N | --seconds S] [--seed N] [--target NAME]...

Mutates valid inputs of every parser and holds each to: accepted, or refused with an error of the packages; no
hang, no buffer that the size of the input does not justify. Default: 60 seconds, a seed by chance (it is printed).
Known targets: ${targets.map(({ name }) => name).join(', ')}.`;

/** Cases that are written of failures of one kind. */
const CASES_PER_KIND = 2;

const { values } = parseArgs({
  options: {
    executions: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string' },
    target: { type: 'string', multiple: true },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(usage);
  process.exit();
}
const seed = numberOf('seed', values.seed ?? String(randomInt(2 ** 31)));
const chosen = targets.filter(({ name }) => values.target?.includes(name) ?? true);
if (chosen.length === 0) refuse(`there is no target ${values.target}`);

const shares = chosen.reduce((sum, { share }) => sum + share, 0);
const executions = values.executions && numberOf('executions', values.executions);
const seconds = executions === undefined ? numberOf('seconds', values.seconds ?? '60') : undefined;
const plan = chosen.map(({ name, share }) => ({
  name,
  executions: executions === undefined ? Number.POSITIVE_INFINITY : Math.ceil((executions * share) / shares),
  // With a limit in seconds every target gets the same time.
  milliseconds: seconds === undefined ? Number.POSITIVE_INFINITY : (1000 * seconds) / chosen.length,
}));

console.log(`seed ${seed}`);
const kinds = new Map();
let total = 0;
const well = await supervise({ seed, plan }, (message) => {
  if (message.kind === 'target') {
    total += message.executions;
    const rate = Math.round(message.executions / message.seconds);
    console.log(
      `${message.name.padEnd(20)} ${String(message.executions).padStart(9)} executions  ${rate} / s`,
    );
  } else report(message);
});
console.log(`${total} executions, ${kinds.size} kinds of failures`);
if (!well || kinds.size > 0) process.exitCode = 1;

function report({ target, input, failure, stack }) {
  const kind = [
    target,
    failure.split(':')[0],
    stack?.split('\n').find((line) => line.includes('    at ')),
  ].join();
  const count = (kinds.get(kind) ?? 0) + 1;
  kinds.set(kind, count);
  if (count > CASES_PER_KIND) return;
  const found = failure.slice(0, 300);
  console.error(`FAILURE of ${target}, seed ${seed}: ${found}`);
  console.error(`  input ${Buffer.from(input).toString('hex').slice(0, 4000)}`);
  if (stack) console.error(stack.split('\n').slice(1, 8).join('\n'));
  console.error(`  written to ${writeCase({ target, found, input })}`);
}

function numberOf(option, text) {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) refuse(`--${option} ${text} is not a number`);
  return value;
}

function refuse(problem) {
  console.error(`${problem}\n\n${usage}`);
  process.exit(2);
}
