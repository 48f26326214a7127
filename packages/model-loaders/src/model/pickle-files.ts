import { UnsupportedError } from '@lbs/format';

/** Extensions under which PyTorch's own checkpoints are published. */
const PICKLE_NAME = /\.(?:bin|pt|pth|ckpt|pkl|pickle)$/i;

/** Names that a directory with nothing else has. */
export const PICKLE_FILES: readonly string[] = [
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'consolidated.00.pth',
  'consolidated.pth',
  'model.pt',
  'model.pth',
  'model.ckpt',
];

/** True for the name of a file that PyTorch wrote with Python's pickle. */
export function isPickleName(name: string): boolean {
  return PICKLE_NAME.test(name);
}

/**
 * True for the first bytes of a pickle of protocol 2 to 5 that begins as PyTorch's do, or of the zip archive that
 * PyTorch puts pickles in since 1.6.
 */
export function isPickle(firstBytes: Uint8Array): boolean {
  const [a, b, c, d] = firstBytes;
  if (a === 0x50 && b === 0x4b && c === 3 && d === 4) return true;
  return a === 0x80 && b !== undefined && b >= 2 && b <= 5;
}

/** The error for a model of which there are pickle files only. */
export function pickleError(file: string, found = 'this'): UnsupportedError {
  return new UnsupportedError(
    `${found} is a pickle file: to read one means to run the program in it, which may do anything`,
    {
      file,
      mend: "Look for a version in safetensors, or convert it in Python where you trust the publisher: AutoModelForCausalLM.from_pretrained(name).save_pretrained('out').",
    },
  );
}
