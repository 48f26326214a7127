import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hubSettings } from './hub-settings.js';

const folder = mkdtempSync(join(tmpdir(), 'lbs-hub-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'token'), 'hf_of_the_file\n');
writeFileSync(join(folder, 'other-token'), 'hf_other');

test('without an environment, the public hub and the folder in the home directory', async () => {
  expect(await hubSettings({ HF_TOKEN: 'x' })).toEqual({
    endpoint: 'https://huggingface.co',
    cache: join(homedir(), '.cache', 'huggingface', 'hub'),
    token: 'x',
    offline: false,
    symlinks: true,
  });
});

test.each([
  [{ HF_HUB_CACHE: '/a', HUGGINGFACE_HUB_CACHE: '/b', HF_HOME: '/c', XDG_CACHE_HOME: '/d' }, '/a'],
  [{ HUGGINGFACE_HUB_CACHE: '/b', HF_HOME: '/c', XDG_CACHE_HOME: '/d' }, '/b'],
  [{ HF_HOME: '/c', XDG_CACHE_HOME: '/d' }, join('/c', 'hub')],
  [{ XDG_CACHE_HOME: '/d' }, join('/d', 'huggingface', 'hub')],
  [{ HF_HUB_CACHE: '~/a' }, join(homedir(), 'a')],
  [{ HF_HUB_CACHE: ['$BASE/$', '{PART}/x'].join(''), BASE: '/e', PART: 'f' }, '/e/f/x'],
])('the cache of %j is %s', async (environment, cache) => {
  expect((await hubSettings(environment)).cache).toBe(cache);
});

test.each([
  [{ HF_TOKEN: ' hf_a\n', HUGGING_FACE_HUB_TOKEN: 'hf_b', HF_HOME: folder }, 'hf_a'],
  [{ HF_TOKEN: '', HUGGING_FACE_HUB_TOKEN: 'hf_b', HF_HOME: folder }, 'hf_b'],
  [{ HF_HOME: folder, HF_TOKEN_PATH: join(folder, 'other-token') }, 'hf_other'],
  [{ HF_HOME: folder }, 'hf_of_the_file'],
  [{ HF_HOME: join(folder, 'nowhere') }, undefined],
])('the token of %j is %s', async (environment, token) => {
  expect((await hubSettings(environment)).token).toBe(token);
});

test.each([
  ['1', true],
  ['YES', true],
  ['true', true],
  ['on', true],
  ['0', false],
  ['', false],
])('switches: %s is %s', async (value, on) => {
  const home = { HF_HOME: folder };
  expect((await hubSettings({ ...home, HF_HUB_OFFLINE: value })).offline).toBe(on);
  expect((await hubSettings({ ...home, TRANSFORMERS_OFFLINE: value })).offline).toBe(on);
  expect((await hubSettings({ ...home, HF_HUB_DISABLE_SYMLINKS: value })).symlinks).toBe(!on);
});

test('the endpoint loses its last slash', async () => {
  expect((await hubSettings({ HF_HOME: folder, HF_ENDPOINT: 'https://mirror.example/' })).endpoint).toBe(
    'https://mirror.example',
  );
});
