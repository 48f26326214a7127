import { InvalidArgumentError } from '@lbs/format';
import type { HubOptions } from '../hub/hub-api.js';
import { type HubDirectory, hubDirectory } from '../hub/hub-directory.js';
import { type HubReference, parseHubReference } from '../hub/hub-reference.js';
import { modelFiles } from '../hub/model-files.js';
import { chosenFiles } from '../sources/chosen-files.js';
import { type ModelDirectory, missing } from '../sources/model-directory.js';
import { blobSource, type CancelOptions, type RandomAccessSource } from '../sources/random-access-source.js';
import { urlDirectory } from '../sources/url-directory.js';
import { urlSource } from '../sources/url-source.js';
import type { ModelSource } from './model-source.js';
import { openModelDirectory } from './open-model-directory.js';
import { openModelFile } from './open-model-file.js';
import { isPickleName } from './pickle-files.js';

/**
 * What a model is opened from:
 *
 * - a `Blob` or `File`: a GGUF file;
 * - the `File`s that a user chose, such as a `FileList`: a Hugging Face directory, or one GGUF file among them;
 * - a `URL`, or a text with one: a GGUF file, a directory on a server, or the page of a model on the hub;
 * - `hf:owner/name`, `hf:owner/name@revision`, `hf:owner/name/file.gguf`: a model of the hub;
 * - a `RandomAccessSource` or `ModelDirectory` of your own.
 */
export type ModelInput = string | URL | Blob | Iterable<File> | RandomAccessSource | ModelDirectory;

/** Cancelling, and how servers are talked to. */
export interface OpenModelOptions extends CancelOptions, HubOptions {}

/**
 * Opens a published model. Its tensors are checked against its config; no weight is read, and of a file on a server
 * nothing but its header. Throws MalformedFileError, UnsupportedError, TensorMismatchError and FileAccessError, of
 * servers also AccessDeniedError, NetworkError and SourceChangedError, and InvalidArgumentError for what is no ModelInput.
 */
export async function openModel(input: ModelInput, options: OpenModelOptions = {}): Promise<ModelSource> {
  const { signal } = options;
  signal?.throwIfAborted();
  if (typeof input === 'string' || input instanceof URL) return openAddress(String(input), options);
  if (input instanceof Blob)
    return openModelFile(blobSource(input, 'name' in input ? String(input.name) : 'blob'), { signal });
  if (typeof input !== 'object' || input === null) throw notAModel();
  if ('open' in input) return openModelDirectory(input, { signal });
  if ('read' in input) return openModelFile(input, { signal });
  if (Symbol.iterator in input) return openChosen(input, { signal });
  throw notAModel();
}

function notAModel(): InvalidArgumentError {
  return new InvalidArgumentError('this is nothing that a model can be opened from', {
    mend: 'Pass a File, the files of a directory, a URL, or a text such as hf:owner/name.',
  });
}

async function openAddress(
  address: string,
  { signal, endpoint, token, ...http }: OpenModelOptions,
): Promise<ModelSource> {
  const reference = parseHubReference(address, endpoint);
  if (reference) return openHubModel(reference, { ...http, endpoint, token, signal });
  if (!/^https?:\/\//i.test(address)) {
    throw new InvalidArgumentError('this is neither a URL nor a model of the hub', {
      file: address,
      mend: 'Write https://..., hf:owner/name or hf:owner/name/file.gguf. Paths of the disk are opened by @lbs/model-loaders/node.',
    });
  }
  const { pathname } = new URL(address);
  const directory = urlDirectory(new URL('.', address), http);
  if (/\.(gguf|safetensors)$/i.test(pathname) || isPickleName(pathname))
    return openModelFile(await urlSource(address, { ...http, signal }), { signal, directory });
  return openModelDirectory(urlDirectory(address, http), { signal });
}

async function openHubModel(
  { repo, revision, file }: HubReference,
  options: OpenModelOptions,
): Promise<ModelSource> {
  const { signal } = options;
  const directory = await hubDirectory({ ...options, repo, revision });
  if (file !== undefined) {
    const source = (await directory.open(file, { signal })) ?? missing(directory, file);
    return openModelFile(source, { signal, directory: subdirectory(directory, file) });
  }
  // Says what the repository has in the place of a model that can be opened.
  await modelFiles(new Set(directory.files.keys()), repo, async () => []);
  return openModelDirectory(directory, { signal });
}

/** The files beside one of a repository. */
function subdirectory(directory: HubDirectory, file: string): ModelDirectory {
  const prefix = file.replace(/[^/]*$/, '');
  return { name: directory.name, open: (name, options) => directory.open(prefix + name, options) };
}

async function openChosen(files: Iterable<File>, { signal }: CancelOptions): Promise<ModelSource> {
  const directory = chosenFiles(files);
  const gguf = directory.fileNames.filter((name) => /\.gguf$/i.test(name)).sort();
  const alone = directory.fileNames.length === 1 ? directory.fileNames : gguf;
  if (directory.fileNames.includes('config.json') || alone.length === 0)
    return openModelDirectory(directory, { signal });
  return openModelFile((await directory.open(alone[0]!))!, { signal, directory });
}
