import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileAccessError } from './file-access-error.js';
import { JobDirectory, type JobSummary } from './job-directory.js';
import {
  assembledDirectory,
  exists,
  identityFile,
  jobDirectoryOf,
  outputExists,
  readJson,
  replacedDirectory,
  sha256,
  summaryFile,
  writeJson,
} from './job-files.js';
import { takeLock } from './job-lock.js';

/** What decides the bytes of a job's result, by part: a job goes on only where all parts are the same. */
export type JobIdentity = Readonly<Record<string, unknown>>;

/** What a job may do to an output that is there. */
export interface JobDirectoryOptions {
  /** Whether it may be replaced. Default false. */
  readonly replace?: boolean | undefined;
}

/** Whether a job for this output put its result in place and ended before it could say so: `openJobDirectory` finds it completed. */
export async function hasFinishedJob(output: string): Promise<boolean> {
  const path = jobDirectoryOf(output);
  return (await exists(join(path, summaryFile))) && !(await exists(join(path, assembledDirectory)));
}

/**
 * Opens the directory of a job, as it was left or anew. What an earlier job of another identity left unfinished is deleted, and `discarded`
 * names the parts that differ. One process works on an output at a time: throws FileAccessError while another does, and
 * InvalidArgumentError where the output is there and may not be replaced.
 */
export async function openJobDirectory(
  output: string,
  identity: JobIdentity,
  { replace = false }: JobDirectoryOptions = {},
): Promise<JobDirectory> {
  const target = resolve(output);
  const path = jobDirectoryOf(output);
  const hashes = Object.fromEntries(
    Object.entries(identity).map(([part, value]) => [part, sha256(JSON.stringify(value ?? null))]),
  );
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the job cannot be stored', path, cause);
  };
  await mkdir(dirname(path), { recursive: true }).catch(refuse);
  const unlock = await takeLock(`${path}.lock`);
  try {
    await putBackReplaced(path, target);
    const before = await readJson(join(path, identityFile));
    const summary = await readJson(join(path, summaryFile));
    const differing = before && differences(before, hashes);
    const resumed = differing?.length === 0;
    const hasOutput = await exists(target);
    const completed = resumed && hasOutput ? summary : undefined;
    if (!completed && !replace && hasOutput) throw outputExists(target);
    if (!resumed) await rm(path, { recursive: true, force: true });
    else await removePartialFiles(path);
    // The result was in its place, and somebody has deleted it since.
    if (!completed) await rm(join(path, summaryFile), { force: true });
    await mkdir(path, { recursive: true });
    if (!resumed) await writeJson(join(path, identityFile), hashes);
    const discarded = resumed || summary ? undefined : differing;
    const job = sha256(JSON.stringify(hashes));
    return new JobDirectory({ target, path, job, replace, unlock, completed, discarded });
  } catch (error) {
    await unlock();
    return refuse(error);
  }
}

/**
 * A process that ended between the two renames of `replaceDirectory` left neither the old output nor the new one in its place: the old
 * one comes back, and the model is put together again. Where the new one is in its place the summary stays.
 */
async function putBackReplaced(path: string, target: string): Promise<void> {
  if (!(await exists(join(path, assembledDirectory)))) return;
  const replaced = join(path, replacedDirectory);
  if ((await exists(replaced)) && !(await exists(target))) await rename(replaced, target);
  await rm(join(path, summaryFile), { force: true });
  await rm(join(path, assembledDirectory), { recursive: true });
}

async function removePartialFiles(path: string): Promise<void> {
  for (const name of await readdir(path)) if (name.endsWith('.partial')) await rm(join(path, name));
}

function differences(before: JobSummary, after: JobSummary): string[] {
  const parts = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...parts].filter((part) => before[part] !== after[part]);
}
