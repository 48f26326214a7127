import { FileAccessError } from '@lbs/format';

const mends: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path.',
  ENOTDIR: 'Check the path.',
  EISDIR: 'Name a file, not a directory.',
  EEXIST: 'Choose another name, or have it replaced.',
  ENOTEMPTY: 'Choose another name, or have it replaced.',
  EACCES: 'Check the permissions.',
  EPERM: 'Check the permissions.',
  ENOSPC: 'Free some disk space.',
  EMFILE: 'Close some files.',
};

/** Wraps an error of node:fs. Other errors, such as the reason of an abort, come back as they are. */
export function fileAccessError(problem: string, file: string, cause: unknown): unknown {
  const code =
    cause instanceof Error && 'code' in cause && 'syscall' in cause ? String(cause.code) : undefined;
  if (code === undefined) return cause;
  return new FileAccessError(`${problem} (${code})`, { file, mend: mends[code] ?? 'Try again.', cause });
}
