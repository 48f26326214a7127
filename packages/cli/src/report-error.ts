import { LbsError } from '@lbs/format';
import pc from 'picocolors';

/** Exit codes: what went wrong, for scripts. */
export const exitCodes = { badInput: 1, interrupted: 130, bug: 70 } as const;

/**
 * Prints one message for an error and returns the exit code. Errors that the toolkit throws on purpose are a
 * sentence or two; anything else is a bug, and comes with its stack.
 */
export function reportError(error: unknown): number {
  if (error instanceof Error && error.name === 'AbortError') {
    process.stderr.write('lbs: interrupted\n');
    return exitCodes.interrupted;
  }
  const isExpected =
    LbsError.isInstance(error) ||
    (error instanceof Error && 'code' in error && String(error.code).startsWith('LBS_'));
  if (isExpected) {
    process.stderr.write(`${pc.red('lbs:')} ${(error as Error).message}\n`);
    return exitCodes.badInput;
  }
  process.stderr.write(
    `${pc.red('lbs: this is a bug, please report it:')}\n${error instanceof Error ? error.stack : error}\n`,
  );
  return exitCodes.bug;
}
