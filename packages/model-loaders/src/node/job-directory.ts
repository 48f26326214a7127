import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InvalidArgumentError, type SafetensorsTensorSpec, type StoredTensor } from '@lbs/format';
import { syncDirectory, writeAtomically } from './atomic-file.js';
import { fileAccessError } from './file-access-error.js';
import { takeLock } from './job-lock.js';
import { replaceDirectory } from './replace-directory.js';
import { readUnitTensor, withUnitFile, writeUnitFile } from './unit-file.js';
import { type ModelFilesOptions, type ModelToWrite, writeModelFiles } from './write-model-files.js';

/** What decides the bytes of a job's result, by part: a job goes on only where all parts are the same. */
export type JobIdentity = Readonly<Record<string, unknown>>;

/** Values of one calibration sequence between two blocks, by the name of the stream. */
type SequenceState = Readonly<Record<string, Float32Array>>;

/** What a finished job says of itself, as JSON. */
export type JobSummary = Readonly<Record<string, unknown>>;

/** What a job may do to an output that is there. */
export interface JobDirectoryOptions {
  /** Whether it may be replaced. Default false. */
  readonly replace?: boolean | undefined;
}

/** How the result of a job is written. */
export interface FinishJobOptions extends ModelFilesOptions {
  /** Is kept until the job's directory is gone, for a process that finds it finished. */
  readonly summary?: JobSummary | undefined;
}

/** The directory in which a job for `output` works: hidden, beside it, and always the same. */
export function jobDirectoryOf(output: string): string {
  const target = resolve(output);
  return join(dirname(target), `.${basename(target)}.lbs-job`);
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

interface OpenedJob {
  readonly target: string;
  readonly path: string;
  /** Hash of the identity. */
  readonly job: string;
  readonly replace: boolean;
  readonly unlock: () => Promise<void>;
  readonly completed: JobSummary | undefined;
  readonly discarded: readonly string[] | undefined;
}

/** Where a job keeps what is finished until its result is put together: a `JobStorage` of the quantizer on the disk. */
export class JobDirectory {
  /** Parts of the identity in which an earlier job, whose work was deleted, differs; undefined where there was none. */
  readonly discarded: readonly string[] | undefined;
  /** Of a job whose result is in its place already. */
  readonly completed: JobSummary | undefined;

  readonly path: string;
  readonly #opened: OpenedJob;

  /** Use `openJobDirectory`. */
  constructor(opened: OpenedJob) {
    this.#opened = opened;
    this.path = opened.path;
    this.discarded = opened.discarded;
    this.completed = opened.completed;
  }

  /** What a finished unit holds, in the order in which it was committed; undefined where it is not finished or not whole. */
  find(unit: string): Promise<readonly SafetensorsTensorSpec[] | undefined> {
    return withUnitFile(this.#unitFile(unit), this.#label(unit), async (_, tensors) => tensors);
  }

  /** Stores a unit; it is finished when the promise is fulfilled. */
  async commit(unit: string, tensors: readonly StoredTensor[]): Promise<void> {
    await writeUnitFile(this.#unitFile(unit), this.#label(unit), tensors);
  }

  /** The bytes of a tensor of a finished unit. */
  read(unit: string, tensor: string): AsyncIterable<Uint8Array> {
    return readUnitTensor(this.#unitFile(unit), tensor);
  }

  /** Stores the states of the calibration sequences behind a block. */
  saveStates(block: number, states: readonly SequenceState[]): Promise<void> {
    const tensors = states.flatMap((state, i) =>
      Object.entries(state).map(
        ([stream, values]): StoredTensor => ({
          name: `${i}.${stream}`,
          dtype: 'F32',
          shape: [values.length],
          bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
        }),
      ),
    );
    return writeUnitFile(this.#statesFile(block), this.#label(statesUnit(block)), tensors);
  }

  /** The states behind a block; undefined where there are none or they are not whole. */
  loadStates(block: number): Promise<readonly SequenceState[] | undefined> {
    const label = this.#label(statesUnit(block));
    return withUnitFile(this.#statesFile(block), label, async (reader, tensors) => {
      const states: Record<string, Float32Array>[] = [];
      for (const { name } of tensors) {
        const dot = name.indexOf('.');
        const [sequence, stream] = [Number(name.slice(0, dot)), name.slice(dot + 1)];
        states[sequence] = { ...states[sequence], [stream]: await reader.readFloat32(name) };
      }
      return states;
    });
  }

  /** Removes the states behind a block, if there are any. */
  removeStates(block: number): Promise<void> {
    return rm(this.#statesFile(block), { force: true });
  }

  /**
   * Writes the files of the model, puts them in the place of the output when all are whole, and removes the directory of the job. Returns the
   * bytes of all weight files. A process that ends at any moment leaves the old output or the new one, and a job that can go on.
   * Throws as `writeModelDirectory`.
   */
  async finish(model: ModelToWrite, { summary = {}, ...options }: FinishJobOptions = {}): Promise<number> {
    const { target, replace } = this.#opened;
    const assembled = join(this.path, assembledDirectory);
    try {
      await rm(assembled, { recursive: true, force: true });
      await mkdir(assembled);
      const bytes = await writeModelFiles(assembled, model, options);
      options.signal?.throwIfAborted();
      if (!replace && (await exists(target))) throw outputExists(target);
      await writeJson(join(this.path, summaryFile), { ...summary, bytes });
      if (replace) await replaceDirectory(target, assembled, join(this.path, replacedDirectory));
      else await rename(assembled, target);
      await syncDirectory(dirname(target));
      await this.remove();
      return bytes;
    } catch (error) {
      throw fileAccessError('the model cannot be written', target, error);
    }
  }

  /** Deletes all that the job has stored; what says that its result is in place goes last. */
  async remove(): Promise<void> {
    for (const name of await readdir(this.path)) {
      if (![identityFile, summaryFile].includes(name)) {
        await rm(join(this.path, name), { recursive: true, force: true });
      }
    }
    await rm(this.path, { recursive: true, force: true });
    await this.#opened.unlock();
  }

  /**
   * Lets another process work on the output, and keeps what is finished for it. Returns whether there is anything: where no unit is
   * finished, nothing stays.
   */
  async close(): Promise<boolean> {
    const names = await readdir(this.path).catch(() => []);
    const keeps = names.some((name) => name.endsWith(unitSuffix) || name === replacedDirectory);
    if (!keeps) await rm(this.path, { recursive: true, force: true });
    await this.#opened.unlock();
    return keeps;
  }

  #label(unit: string) {
    return { job: this.#opened.job, unit };
  }

  /** Names of units may have any characters and any length. */
  #unitFile(unit: string): string {
    return join(this.path, `${sha256(unit).slice(0, 32)}${unitSuffix}`);
  }

  #statesFile(block: number): string {
    return join(this.path, `states-${block}.safetensors`);
  }
}

const identityFile = 'job.json';
/** Is there from when the assembled model is whole. */
const summaryFile = 'summary.json';
const assembledDirectory = 'model';
const replacedDirectory = 'replaced';
const unitSuffix = '.unit.safetensors';

const statesUnit = (block: number) => `states behind block ${block}`;

/** The error for an output that is there and may not be replaced. */
function outputExists(file: string): InvalidArgumentError {
  return new InvalidArgumentError('the output directory exists', {
    file,
    mend: 'Name another one, or have it replaced.',
  });
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

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
}

/** Undefined where there is no such file, or it is damaged. */
async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeAtomically(path, (handle) => handle.writeFile(JSON.stringify(value)));
}
