import { access, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseHubReference, parseRepoName } from '../hub/hub-reference.js';
import type { ModelSource } from '../model/model-source.js';
import {
  type ModelInput,
  type OpenModelOptions as OpenModelAnywhereOptions,
  openModel as openModelAnywhere,
} from '../model/open-model.js';
import { openModelDirectory } from '../model/open-model-directory.js';
import { openModelFile } from '../model/open-model-file.js';
import type { ModelDirectory } from '../sources/model-directory.js';
import { fileAccessError } from './file-access-error.js';
import { openFileSource } from './file-source.js';
import { type DownloadModelOptions, downloadModel } from './hub/download-model.js';
import { hubSettings } from './hub/hub-settings.js';

/** Cancelling, how servers are talked to, and the progress of a download. */
export interface OpenModelOptions extends OpenModelAnywhereOptions, DownloadModelOptions {}

/** A directory on the disk, as openModelDirectory reads it. */
export function fileDirectory(path: string): ModelDirectory {
  return {
    name: path,
    async open(fileName) {
      const file = join(path, fileName);
      const exists = await access(file).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
      );
      return exists ? openFileSource(file) : undefined;
    },
  };
}

/**
 * Opens a published model: the path of a Hugging Face directory or of a GGUF file (of several the first), a model of the hub (`owner/name`,
 * `hf:owner/name@revision`, `hf:owner/name/file.gguf`), which is downloaded into the hub's own cache, a URL, or another
 * `ModelInput`. A path that exists is a path. Tensors are checked against the config; no weight is read. Throws as the
 * `openModel` of the main entry and as `downloadModel`.
 */
export async function openModel(model: ModelInput, options: OpenModelOptions = {}): Promise<ModelSource> {
  const { signal } = options;
  signal?.throwIfAborted();
  if (typeof model !== 'string' && !(model instanceof URL)) return openModelAnywhere(model, options);
  const text = String(model);
  if (await isHubModel(text, options)) {
    const { path, repo } = await downloadModel(text, options);
    return openPath(path, repo, signal);
  }
  return /^https?:\/\//i.test(text) ? openModelAnywhere(text, options) : openPath(text, undefined, signal);
}

/** True for a text that names a model of the hub, unless a file or directory has that name. */
export async function isHubModel(
  text: string,
  options: Pick<OpenModelOptions, 'endpoint'> = {},
): Promise<boolean> {
  const { endpoint = (await hubSettings()).endpoint } = options;
  if (parseHubReference(text, endpoint)) return true;
  return (
    parseRepoName(text) !== undefined &&
    !(await access(text).then(
      () => true,
      () => false,
    ))
  );
}

/** `repo` names what came from the hub: its directory has the name of a commit. */
async function openPath(
  path: string,
  repo: string | undefined,
  signal: AbortSignal | undefined,
): Promise<ModelSource> {
  const stats = await stat(path).catch((cause) => {
    throw fileAccessError('the model cannot be opened', path, cause);
  });
  if (!stats.isDirectory()) {
    const directory = fileDirectory(dirname(path));
    return openModelFile(await openFileSource(path), { signal, directory });
  }
  const model = await openModelDirectory(fileDirectory(path), { signal });
  return repo === undefined ? model : { ...model, name: repo.replace(/^.*\//, '') };
}
