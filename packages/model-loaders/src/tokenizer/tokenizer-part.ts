import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';

/** Makes a part of a tokenizer from its JSON. Throws MalformedFileError and UnsupportedError. */
export type PartFactory<Part> = (json: JsonObject, file: string) => Part;

/** Makes a part by its type. Throws UnsupportedError for a type that has no factory, and what the factory throws. */
export function createPart<Part>(
  kind: string,
  factories: Readonly<Record<string, PartFactory<Part>>>,
  json: unknown,
  file: string,
): Part {
  const type = isJsonObject(json) ? json['type'] : json;
  if (!isJsonObject(json) || typeof type !== 'string' || !Object.hasOwn(factories, type)) {
    throw new UnsupportedError(`the ${kind} ${describeValue(type)} is not known`, {
      file,
      mend: `Known: ${Object.keys(factories).join(', ')}.`,
    });
  }
  return factories[type]!(json, file);
}

/** The error of a field that has not the value it should have. */
export function malformedField(what: string, value: unknown, file: string): MalformedFileError {
  return new MalformedFileError(`${what} is ${describeValue(value)}`, {
    file,
    mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
  });
}
