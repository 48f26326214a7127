import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { FileAccessError } from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';
import { fileAccessError } from './file-access-error.js';

/** Who holds a lock. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process began, as the system counts; a later process may have the same id. Null where the system does not tell. */
  readonly started: string | null;
}

/** More than one process can find the same stale lock, but not this often. */
const mostAttempts = 10;

/**
 * Takes a lock that a file stands for; returns what gives it back, once. A lock whose process has ended on this machine is taken over, so that
 * a killed process does not bar the next. Throws FileAccessError while another process holds it.
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  const taken = await tryLock(path);
  if (typeof taken === 'function') return taken;
  throw heldBy(taken, path);
}

/** How often a process that waits for another looks again. */
const pollMilliseconds = 200;

/** Takes a lock as `takeLock`, and waits while another process holds it. Throws the reason of an abort. */
export async function waitForLock(path: string, { signal }: CancelOptions): Promise<() => Promise<void>> {
  for (;;) {
    const taken = await tryLock(path);
    if (typeof taken === 'function') return taken;
    await setTimeout(pollMilliseconds, undefined, { ...(signal && { signal }) }).catch((error) => {
      throw signal?.aborted ? signal.reason : error;
    });
  }
}

/** What gives the lock back, or who holds it. */
async function tryLock(path: string): Promise<(() => Promise<void>) | Holder> {
  const holder: Holder = { pid: process.pid, host: hostname(), started: await startOf(process.pid) };
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the lock cannot be taken', path, cause);
  };
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const taken = await writeFile(path, JSON.stringify(holder), { flag: 'wx' }).then(
      () => true,
      (error: NodeJS.ErrnoException) => (error.code === 'EEXIST' ? false : refuse(error)),
    );
    if (taken) {
      let held = true;
      return async () => {
        if (held) await rm(path, { force: true });
        held = false;
      };
    }
    const content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? undefined : refuse(error),
    );
    if (content === undefined) continue;
    const other = parseHolder(content);
    if (other && (await isAlive(other))) return other;
    await removeStale(path, content).catch(refuse);
  }
  throw new FileAccessError('several processes want the lock at once', { file: path, mend: 'Try again.' });
}

function heldBy({ pid, host }: Holder, file: string): FileAccessError {
  const where = host === hostname() ? '' : ` on ${host}`;
  return new FileAccessError(`process ${pid}${where} is at work on this output`, {
    file,
    mend: 'Wait until it ends, or name another output. If it has ended, delete this file.',
  });
}

/** Undefined where a process was killed before its lock was written. */
function parseHolder(content: string): Holder | undefined {
  try {
    const { pid, host, started = null } = JSON.parse(content);
    return Number.isSafeInteger(pid) && pid > 0 ? { pid, host, started } : undefined;
  } catch {
    return undefined;
  }
}

/** Processes of other machines cannot be asked, and count as alive. */
async function isAlive({ pid, host, started }: Holder): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return started === null || started === (await startOf(pid));
}

/** Field 22 of Linux' /proc/PID/stat; null elsewhere, and for a process that has ended and waits for its parent to ask. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[19] !== undefined && fields[0] !== 'Z' ? fields[19] : null;
}

/** Removes a lock that has this content: another process may have put its own in the place of a stale one meanwhile. */
async function removeStale(path: string, content: string): Promise<void> {
  const moved = `${path}.${randomUUID()}`;
  try {
    await rename(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(moved, 'utf8')) !== content) await link(moved, path).catch(() => {});
  await rm(moved);
}
