import { InvalidArgumentError, LbsError, MalformedFileError } from '@lbs/format';
import { parseRecipe, type Recipe } from '@lbs/quantizer';
import { readText } from './read-text.js';

/** Reads a recipe from a JSON file. Throws FileAccessError, MalformedFileError where it is not JSON, and InvalidArgumentError that names the field. */
export async function readRecipe(file: string): Promise<Recipe> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MalformedFileError(`the recipe is not JSON (${(cause as Error).message})`, {
      file,
      mend: 'Print one to start from with --print-recipe.',
      cause,
    });
  }
  try {
    return parseRecipe(value);
  } catch (cause) {
    if (!LbsError.isInstance(cause)) throw cause;
    throw new InvalidArgumentError(cause.message, { file, cause });
  }
}
