const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\w+|[{}[\],:]/g;

const numbers = [
  '0',
  '-0',
  '1',
  '-1',
  '2',
  '3',
  '8',
  '9',
  '16',
  '17',
  '64',
  '255',
  '256',
  '1.5',
  '-0.5',
  '1e2',
  '1E+2',
  '1e-400',
  '1e308',
  '1e999',
  '-1e999',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '1000000000000000000000000',
  'NaN',
  'Infinity',
  '0x10',
  '007',
  '+1',
  '.5',
  '1.',
  '1n',
];

const strings = [
  '""',
  '"__proto__"',
  '"constructor"',
  '"prototype"',
  '"toString"',
  '"valueOf"',
  '"hasOwnProperty"',
  '"length"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\u001b[2J"',
  '"../../x.safetensors"',
  '"re:.*"',
  '"re:("',
  '"re:(a|a)(a|a)b"',
  '"F32"',
  '"lbs"',
];

const otherValues = [
  'null',
  'true',
  'false',
  '{}',
  '[]',
  '[[]]',
  '{"toString":1}',
  '{"toString":null,"valueOf":1}',
  '[0,0]',
  '[1,1]',
];

/** Changes some tokens of a JSON text, mostly so that it stays JSON. `words` are strings that the reader knows. */
export function mutateJson(random, text, { words = [], other = text } = {}) {
  const tokens = text.match(token) ?? [];
  if (tokens.length === 0) return random.pick(otherValues);
  const at = random.below(tokens.length);
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      // A value in the place of one of its own kind.
      if (/^[-\d]/.test(tokens[at])) tokens[at] = random.pick(numbers);
      else if (tokens[at][0] === '"') tokens[at] = anyString(random, tokens, words);
      else tokens[at] = anyValue(random, tokens, words);
      break;
    case 4:
    case 5:
      // A value in the place of one of any kind, a whole list or object included.
      return joined(tokens, at, endOfValue(tokens, at), [anyValue(random, tokens, words)]);
    case 6: {
      const from = random.below(tokens.length);
      return joined(tokens, at, endOfValue(tokens, at), tokens.slice(from, endOfValue(tokens, from)));
    }
    case 7:
      return joined(tokens, at, endOfValue(tokens, at), []);
    case 8:
    case 9: {
      // A member or element twice.
      const key = tokens.lastIndexOf(':', at) - 1;
      const start = key > 0 && random.oneIn(2) ? key : at;
      const end = endOfValue(tokens, start === key ? key + 2 : at);
      return joined(tokens, end, end, [','].concat(tokens.slice(start, end)));
    }
    case 10: {
      const value = anyValue(random, tokens, words);
      const key = random.oneIn(2) ? [anyString(random, tokens, words), ':'] : [];
      return joined(tokens, at + 1, at + 1, [...key, value, ',']);
    }
    case 11:
      if (random.oneIn(8)) return joined(tokens, at, endOfValue(tokens, at), [nested(random)]);
      tokens[at] = random.pick(['{', '}', '[', ']', ',', ':', '"']);
      break;
    case 12: {
      const theirs = other.match(token) ?? [];
      return joined(
        tokens,
        random.below(tokens.length),
        tokens.length,
        theirs.slice(random.below(theirs.length)),
      );
    }
    default:
      tokens.length = at;
  }
  return tokens.join('');
}

/** The text of the tokens with others in the place of those from `start` to `end`. */
function joined(tokens, start, end, others) {
  return tokens.slice(0, start).concat(others, tokens.slice(end)).join('');
}

function anyString(random, tokens, words) {
  if (words.length > 0 && random.oneIn(2)) return JSON.stringify(random.pick(words));
  if (random.oneIn(2)) return random.pick(strings);
  if (random.oneIn(40)) return JSON.stringify('ab.'.repeat(1 + random.below(700)));
  const own = tokens.filter((part) => part[0] === '"');
  return own.length > 0 ? random.pick(own) : '""';
}

function anyValue(random, tokens, words) {
  switch (random.below(4)) {
    case 0:
      return random.pick(numbers);
    case 1:
      return anyString(random, tokens, words);
    default:
      return random.pick(otherValues);
  }
}

/** Lists or objects inside of each other, deep enough to run out of stack where the reader recurses. */
function nested(random) {
  const depth = random.oneIn(20) ? 20_000 : 10 + random.below(300);
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ]);
  return open.repeat(depth) + (random.oneIn(2) ? '1' : '""') + close.repeat(depth);
}

/** Index behind the value that begins at `start`. */
function endOfValue(tokens, start) {
  let depth = 0;
  for (let i = start; i < tokens.length; i++) {
    if (tokens[i] === '{' || tokens[i] === '[') depth++;
    else if (tokens[i] === '}' || tokens[i] === ']') depth--;
    if (depth <= 0) return i + 1;
  }
  return tokens.length;
}
