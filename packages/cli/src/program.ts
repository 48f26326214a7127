import { Command } from 'commander';
import { evalCommand } from './commands/eval.js';
import { exportCommand } from './commands/export.js';
import { inspectCommand } from './commands/inspect.js';
import { quantizeCommand } from './commands/quantize.js';
import { runCommand } from './commands/run.js';
import { verifyCommand } from './commands/verify.js';
import { toolVersion } from './tool-version.js';

/** The `lbs` command line. */
export function createProgram(): Command {
  return new Command('lbs')
    .description('Quantize language models with Low Bit-width Sharing, run them, and measure what it cost.')
    .version(toolVersion)
    .addCommand(quantizeCommand())
    .addCommand(evalCommand())
    .addCommand(runCommand())
    .addCommand(exportCommand())
    .addCommand(inspectCommand())
    .addCommand(verifyCommand())
    .showHelpAfterError('(lbs --help lists the commands, lbs COMMAND --help its options)');
}
