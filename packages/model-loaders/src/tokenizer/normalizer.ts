import { parseCharacterMap } from './character-map.js';
import { textPattern } from './text-pattern.js';
import { createPart, malformedField, type PartFactory } from './tokenizer-part.js';

/** Changes a text before it is split. The text is not empty. */
export type Normalizer = (text: string) => string;

const form =
  (name: string): PartFactory<Normalizer> =>
  () =>
  (text) =>
    text.normalize(name);

/** By the types of tokenizer.json. */
const factories: Readonly<Record<string, PartFactory<Normalizer>>> = {
  Sequence({ normalizers }, file) {
    if (!Array.isArray(normalizers)) throw malformedField('normalizers', normalizers, file);
    const all = normalizers.map((json) => createNormalizer(json, file));
    return (text) => all.reduce((changed, next) => (changed === '' ? '' : next(changed)), text);
  },
  NFC: form('NFC'),
  NFD: form('NFD'),
  NFKC: form('NFKC'),
  NFKD: form('NFKD'),
  // Character by character: that of a whole text knows the final sigma.
  Lowercase: () => (text) => Array.from(text, (character) => character.toLowerCase()).join(''),
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Strip:
    ({ strip_left: left, strip_right: right }) =>
    (text) => {
      const begun = left === false ? text : text.replace(/^\p{White_Space}+/u, '');
      return right === false ? begun : begun.replace(/(?<!\p{White_Space})\p{White_Space}+$/u, '');
    },
  Prepend({ prepend }, file) {
    if (typeof prepend !== 'string') throw malformedField('prepend', prepend, file);
    return (text) => prepend + text;
  },
  Replace({ pattern, content }, file) {
    if (typeof content !== 'string') throw malformedField('the content of a Replace', content, file);
    const found = textPattern(pattern, file);
    return found ? (text) => text.replace(found, () => content) : (text) => text;
  },
  Precompiled: ({ precompiled_charsmap: map }, file) =>
    map === null || map === '' ? (text) => text : parseCharacterMap(map, file),
};

/** Makes the normalizer of a tokenizer.json. Throws UnsupportedError and MalformedFileError. */
export function createNormalizer(json: unknown, file: string): Normalizer {
  if (json === null || json === undefined) return (text) => text;
  return createPart('normalizer', factories, json, file);
}
