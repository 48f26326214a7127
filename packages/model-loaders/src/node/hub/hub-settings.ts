import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_HUB_ENDPOINT } from '../../hub/hub-reference.js';

/** What the environment says about the hub, with the names and the precedence of the hub's Python client. */
export interface HubSettings {
  /** HF_ENDPOINT. */
  readonly endpoint: string;
  /** HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, `hub` in HF_HOME, in XDG_CACHE_HOME/huggingface or in ~/.cache/huggingface. */
  readonly cache: string;
  /** HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file HF_TOKEN_PATH, by default `token` in HF_HOME, where `hf auth login` puts it. */
  readonly token: string | undefined;
  /** HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE: no server is asked. */
  readonly offline: boolean;
  /** False with HF_HUB_DISABLE_SYMLINKS: the cache holds no links, as on disks that know none. */
  readonly symlinks: boolean;
}

/** Reads the settings. Without an environment that names a token, the token's file is read. */
export async function hubSettings(environment: NodeJS.ProcessEnv = process.env): Promise<HubSettings> {
  const path = (name: string) => environment[name] && expand(environment[name], environment);
  const home = path('HF_HOME') ?? join(path('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), 'huggingface');
  const token =
    environment['HF_TOKEN'] ||
    environment['HUGGING_FACE_HUB_TOKEN'] ||
    (await readFile(path('HF_TOKEN_PATH') ?? join(home, 'token'), 'utf8').catch(() => ''));
  return {
    endpoint: (environment['HF_ENDPOINT'] || DEFAULT_HUB_ENDPOINT).replace(/\/+$/, ''),
    cache: path('HF_HUB_CACHE') ?? path('HUGGINGFACE_HUB_CACHE') ?? join(home, 'hub'),
    token: token.replace(/[\r\n]/g, '').trim() || undefined,
    offline: isOn(environment['HF_HUB_OFFLINE'] || environment['TRANSFORMERS_OFFLINE']),
    symlinks: !isOn(environment['HF_HUB_DISABLE_SYMLINKS']),
  };
}

function isOn(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? '');
}

/** `~` and `$NAME`, which Python's client expands too. */
function expand(path: string, environment: NodeJS.ProcessEnv): string {
  return path
    .replace(/^~(?=\/|\\|$)/, homedir())
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced, plain) => environment[braced ?? plain] ?? all);
}
