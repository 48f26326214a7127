import { FileAccessError, UnsupportedError } from '@lbs/format';
import { COMPANION_FILES } from '../model/companion-files.js';
import { isPickleName, pickleError } from '../model/pickle-files.js';
import { WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from '../model/weight-files.js';

/**
 * Which files of a repository a model needs: those that `openModelDirectory` reads. `readShards` gives the names in the
 * index of shards, and is called where there is one. Throws UnsupportedError for repositories of pickle or GGUF
 * files, and FileAccessError where there are no weights.
 */
export async function modelFiles(
  names: ReadonlySet<string>,
  repo: string,
  readShards: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const present = ['config.json', ...COMPANION_FILES].filter((name) => names.has(name));
  if (names.has(WEIGHTS_FILE)) return [...present, WEIGHTS_FILE];
  if (names.has(WEIGHTS_INDEX_FILE)) return [...present, WEIGHTS_INDEX_FILE, ...(await readShards())];
  const gguf = [...names].filter(
    (name) => /\.gguf$/i.test(name) && !/-0000[2-9]-of-\d{5}\.gguf$/i.test(name),
  );
  if (gguf.length > 0) {
    throw new UnsupportedError(`the repository has ${gguf.length} GGUF files and no safetensors`, {
      file: repo,
      mend: `Choose one: ${gguf
        .slice(0, 8)
        .map((name) => `hf:${repo}/${name}`)
        .join(', ')}.`,
    });
  }
  const pickle = [...names].find(isPickleName);
  if (pickle !== undefined) throw pickleError(repo, `the repository has no safetensors, and ${pickle}`);
  throw new FileAccessError(`there is neither ${WEIGHTS_FILE} nor ${WEIGHTS_INDEX_FILE}`, {
    file: repo,
    mend: 'Check the name and the revision.',
  });
}
