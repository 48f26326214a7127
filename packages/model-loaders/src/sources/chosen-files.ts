import { InvalidArgumentError } from '@lbs/format';
import type { ModelDirectory } from './model-directory.js';
import { blobSource } from './random-access-source.js';

/**
 * The files that a user chose in a browser, with `<input type="file" webkitdirectory>` or by dragging them, as a
 * directory. Of a chosen folder, its own files count and not those of the folders in it.
 */
export function chosenFiles(
  files: Iterable<File>,
): ModelDirectory & { readonly fileNames: readonly string[] } {
  const all = [...files];
  const parts = all.map((file) => (file.webkitRelativePath || file.name).split('/'));
  const depth = Math.min(...parts.map((path) => path.length));
  const byName = new Map<string, File>();
  all.forEach((file, i) => {
    if (parts[i]!.length === depth) byName.set(parts[i]!.at(-1)!, file);
  });
  if (byName.size === 0)
    throw new InvalidArgumentError('no file was chosen', { mend: 'Choose the files of a model.' });
  const folder = parts.find((path) => path.length === depth)!.at(-2);
  return {
    name: folder ?? 'chosen files',
    fileNames: [...byName.keys()],
    async open(fileName) {
      const file = byName.get(fileName);
      return file && blobSource(file, fileName);
    },
  };
}
