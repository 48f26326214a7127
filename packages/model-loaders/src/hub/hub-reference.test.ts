import { InvalidArgumentError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { parseHubReference, parseRepoName } from './hub-reference.js';

const mirror = 'https://mirror.example/hub';

describe('parseHubReference', () => {
  it.each([
    ['hf:a/b', 'a/b', 'main', undefined],
    ['HF:a/b/', 'a/b', 'main', undefined],
    ['hf://a/b', 'a/b', 'main', undefined],
    ['hf:gpt2', 'gpt2', 'main', undefined],
    ['hf:gpt2@v1', 'gpt2', 'v1', undefined],
    ['hf:a/b@v1.0', 'a/b', 'v1.0', undefined],
    ['hf:a/b@v1.0/c/d.gguf', 'a/b', 'v1.0', 'c/d.gguf'],
    ['hf:a/b/c@d.gguf', 'a/b', 'main', 'c@d.gguf'],
    ['hf:a/b@refs/pr/12', 'a/b', 'refs/pr/12', undefined],
    ['hf:a/b@refs/pr/12/c.gguf', 'a/b', 'refs/pr/12', 'c.gguf'],
    ['hf:a/b@feature%2Fx/c.gguf', 'a/b', 'feature/x', 'c.gguf'],
    ['hf:a/b-1.5_x/c d.gguf', 'a/b-1.5_x', 'main', 'c d.gguf'],
    ['https://huggingface.co/a/b', 'a/b', 'main', undefined],
    ['https://huggingface.co/gpt2', 'gpt2', 'main', undefined],
    ['https://huggingface.co/a/b/tree/v1', 'a/b', 'v1', undefined],
    ['https://huggingface.co/a/b/blob/main/c%20d/e.gguf?download=true', 'a/b', 'main', 'c d/e.gguf'],
    [`${mirror}/a/b/resolve/main/c.gguf`, 'a/b', 'main', 'c.gguf'],
  ])('reads %s', (text, repo, revision, file) => {
    expect(parseHubReference(text, mirror)).toEqual({ repo, revision, ...(file && { file }) });
  });

  it.each(['a/b', './a/b', 'https://example.org/a/b', 'https://huggingface.co/a/b/discussions', 'C:\\a'])(
    'leaves %s alone',
    (text) => {
      expect(parseHubReference(text, mirror)).toBeUndefined();
    },
  );

  it.each([
    'hf:',
    'hf:/',
    'hf:a//b',
    'hf:..',
    'hf:a/..',
    'hf:a/b/../c',
    'hf:a/b@../c',
    'hf:a/b@',
    'hf:-a/b',
    'hf:a/b--c',
    'hf:a/b@%zz',
    'hf:a/b/c\\d',
    'hf:a/b/c\u0000',
  ])('refuses %j', (text) => {
    expect(() => parseHubReference(text)).toThrow(InvalidArgumentError);
  });
});

describe('parseRepoName', () => {
  it('takes owner and name, and nothing that looks like a path', () => {
    expect(parseRepoName('HuggingFaceTB/SmolLM2-135M')).toEqual({
      repo: 'HuggingFaceTB/SmolLM2-135M',
      revision: 'main',
    });
    for (const text of ['gpt2', './a', '../a', 'a/b/c', '/a/b', 'a/', '~/a', 'a\\b/c']) {
      expect(parseRepoName(text)).toBeUndefined();
    }
  });
});
