#!/usr/bin/env node
import { createProgram } from './program.js';
import { reportError } from './report-error.js';

// A reader such as `head` has closed its end: there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportError(error);
}
