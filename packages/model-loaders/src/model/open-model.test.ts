import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { fakeFetch } from '../fixtures/fake-server.js';
import { type ModelInput, openModel } from './open-model.js';

describe('openModel', () => {
  const zip = Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0);
  const pickle = Uint8Array.of(0x80, 2, 0x7d, 0x71);
  it.each([
    ['a pickle file', () => new File([pickle], 'weights.bin'), /pickle file.*save_pretrained/],
    ['a pickle file under another name', () => new File([zip], 'weights'), /pickle file/],
    ['an old pickle file under another name', () => new Blob([pickle]), /pickle file/],
    ['a pickle file by its name', () => new File(['{}'], 'model.pth'), /pickle file/],
    ['weights alone', () => new File([new Uint8Array(9)], 'model.safetensors'), /without the config/],
    [
      'weights alone in a list',
      () => [new File([new Uint8Array(9)], 'model.safetensors')],
      /without the config/,
    ],
    ['a text file', () => [new File(['hello'], 'hello.txt')], /neither a directory nor a GGUF file/],
    ['an empty file', () => new Blob([]), /neither a directory nor a GGUF file/],
  ] as const)('refuses %s', async (_, input, message) => {
    await expect(openModel(input() as ModelInput)).rejects.toThrow(UnsupportedError);
    await expect(openModel(input() as ModelInput)).rejects.toThrow(message);
  });

  it.each([[], {}, null, 5, 'no/such/path', 'C:\\model'])(
    'refuses %j, which names nothing',
    async (input) => {
      await expect(openModel(input as ModelInput)).rejects.toThrow(InvalidArgumentError);
    },
  );

  it('takes what begins as a GGUF file for one, whatever its name', async () => {
    const cut = new Blob([new TextEncoder().encode('GGUF')]);
    await expect(openModel(cut)).rejects.toThrow(MalformedFileError);
  });

  it('says which GGUF files a repository without safetensors has', async () => {
    const commit = 'a1'.repeat(20);
    const file = (path: string) => ({ type: 'file', path, size: 5, oid: commit });
    const fetch = fakeFetch(({ url }) => {
      const files = ['q4.gguf', 'q8-00001-of-00002.gguf', 'q8-00002-of-00002.gguf'].map(file);
      return new Response(JSON.stringify(url.includes('/tree/') ? files : { sha: commit }));
    });
    const opening = openModel('hf:a/b', { fetch });
    await expect(opening).rejects.toThrow(UnsupportedError);
    await expect(opening).rejects.toThrow('Choose one: hf:a/b/q4.gguf, hf:a/b/q8-00001-of-00002.gguf.');
  });
});
