import { execFileSync } from 'node:child_process';

/** What a command line takes, in its own words: the help of a program and of each of its commands. */
export function commandReport(program) {
  const help = (...command) =>
    execFileSync(process.execPath, [program, ...command, '--help'], {
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1' },
    });
  const overview = help();
  return [overview, ...commandNames(overview).map((name) => help(name))].join(`${'-'.repeat(80)}\n`);
}

/** Names of the commands that a help text lists, without `help` itself. */
export function commandNames(overview) {
  const [, list = ''] = overview.split('Commands:\n');
  return [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name).filter((name) => name !== 'help');
}
