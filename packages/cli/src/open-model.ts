import { stat } from 'node:fs/promises';
import {
  hubDirectory,
  type ModelDirectory,
  type ModelSource,
  parseHubReference,
  type RandomAccessSource,
  urlDirectory,
  urlSource,
} from '@lbs/model-loaders';
import {
  type DownloadProgress,
  downloadModel,
  fileDirectory,
  hubSettings,
  isHubModel,
  openFileSource,
  openModel,
} from '@lbs/model-loaders/node';
import { formatBytes } from './print-result.js';
import { ProgressLine } from './progress-line.js';

/** What a command's MODEL may be, for its help. */
export const modelArgument =
  'directory of a model in Hugging Face form, GGUF file, URL of one, or model of the hub: owner/name, hf:owner/name@revision, hf:owner/name/file.gguf';

/** Opens what a command was given as MODEL, and shows how far a download from the hub is. */
export async function openModelArgument(model: string, signal: AbortSignal): Promise<ModelSource> {
  return withDownloadProgress(model, (onProgress) => openModel(model, { signal, onProgress }));
}

/** What a path, a URL or a name on the hub stands for: one file, or a directory. The caller closes the file. */
export type Located = { readonly file: RandomAccessSource } | { readonly directory: ModelDirectory };

/** Finds what a command was given, without downloading it unless it has to be read whole. */
export async function locate(
  path: string,
  signal: AbortSignal,
  { readsAll }: { readsAll: boolean },
): Promise<Located> {
  const { offline, endpoint, token } = await hubSettings();
  if (await isHubModel(path)) {
    if (readsAll || offline) {
      const found = await withDownloadProgress(path, (onProgress) =>
        downloadModel(path, { signal, onProgress }),
      );
      return locateOnDisk(found.path);
    }
    const { repo, revision, file } = parseHubReference(path, endpoint) ?? { repo: path, revision: 'main' };
    const directory = await hubDirectory({ repo, revision, endpoint, token, signal });
    const source = file === undefined ? undefined : await directory.open(file, { signal });
    return source ? { file: source } : { directory };
  }
  if (!/^https?:\/\//i.test(path)) return locateOnDisk(path);
  if (/\.\w+$/.test(new URL(path).pathname)) return { file: await urlSource(path, { signal }) };
  return { directory: urlDirectory(path) };
}

async function locateOnDisk(path: string): Promise<Located> {
  const isDirectory = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  return isDirectory ? { directory: fileDirectory(path) } : { file: await openFileSource(path) };
}

/** Says how much is downloaded before the first byte comes, and then how far it is. */
async function withDownloadProgress<T>(
  model: string,
  run: (onProgress: (progress: DownloadProgress) => void) => Promise<T>,
): Promise<T> {
  const progress = new ProgressLine('Downloading');
  let announced = false;
  try {
    return await run(({ file, bytesDone, bytesTotal }) => {
      if (!announced) progress.note(`Downloading ${formatBytes(bytesTotal - bytesDone)} of ${model}`);
      announced = true;
      progress.update(
        bytesTotal > 0 ? bytesDone / bytesTotal : 1,
        `${file}, ${formatBytes(bytesTotal)} in all`,
      );
    });
  } finally {
    progress.end();
  }
}
