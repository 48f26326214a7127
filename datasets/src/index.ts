/**
 * Where the project's data lies: URLs of files and directories beside this package, file: URLs in Node. A
 * directory's URL ends in "/", so that `new URL('config.json', referenceModel)` is a file of it.
 */

/**
 * Directory of a small trained Llama model in Hugging Face form (5.8 M parameters, BF16, context 256,
 * vocabulary 4096): large enough for quantization to show, small enough for tests.
 */
export const referenceModel = new URL('../reference-lm/', import.meta.url);

/** Directory of a Llama model with random weights, under 1 MB, whose uncommon shapes unit tests want. */
export const tinyModel = new URL('../tiny-lm/', import.meta.url);

/**
 * English prose that the reference model was not trained on, 120,256 of its tokens: for perplexity. UTF-8.
 */
export const heldOutText = new URL('../texts/held-out.txt', import.meta.url);

/**
 * Passages of many genres for calibration, 436,211 bytes, interleaved so that every prefix is a fair mix: articles, fiction,
 * code, manuals, chat and more. UTF-8, passages separated by two empty lines.
 */
export const calibrationText = new URL('../texts/calibration.txt', import.meta.url);

/** Declaration (JSON) of a zero-shot task of 1,000 items with four choices each; see @lbs/eval-harness. */
export const continuationTask = new URL('../tasks/continuation.json', import.meta.url);

/** The items of `continuationTask`, `{ context, choices, gold }` a line. */
export const continuationTaskItems = new URL('../tasks/continuation.jsonl', import.meta.url);
