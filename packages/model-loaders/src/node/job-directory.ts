import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SafetensorsTensorSpec, StoredTensor } from '@lbs/format';
import { syncDirectory } from './atomic-file.js';
import { fileAccessError } from './file-access-error.js';
import {
  assembledDirectory,
  exists,
  identityFile,
  outputExists,
  replacedDirectory,
  sha256,
  summaryFile,
  unitSuffix,
  writeJson,
} from './job-files.js';
import { replaceDirectory } from './replace-directory.js';
import { readUnitTensor, withUnitFile, writeUnitFile } from './unit-file.js';
import { type ModelFilesOptions, type ModelToWrite, writeModelFiles } from './write-model-files.js';

/** Values of one calibration sequence between two blocks, by the name of the stream. */
type SequenceState = Readonly<Record<string, Float32Array>>;

/** What a finished job says of itself, as JSON. */
export type JobSummary = Readonly<Record<string, unknown>>;

/** How the result of a job is written. */
export interface FinishJobOptions extends ModelFilesOptions {
  /** Is kept until the job's directory is gone, for a process that finds it finished. */
  readonly summary?: JobSummary | undefined;
}

/** A job whose lock is held. */
export interface OpenedJob {
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
  /** Hidden, beside the output. */
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

const statesUnit = (block: number) => `states behind block ${block}`;
