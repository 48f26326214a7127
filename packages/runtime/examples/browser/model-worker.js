// Holds the model, so that the page stays responsive while it computes.
import {
  blobSource,
  chosenFiles,
  openGgufModel,
  openModelDirectory,
  urlDirectory,
  urlSource,
} from '@lbs/model-loaders';
import { loadLanguageModel } from '@lbs/runtime';

let source;
let model;
let stopping;

const isGguf = (name) => /\.gguf$/i.test(name);

async function openSource({ files, url }) {
  if (url !== undefined) {
    const isFile = isGguf(new URL(url).pathname);
    return isFile ? openGgufModel(await urlSource(url)) : openModelDirectory(urlDirectory(url));
  }
  const [file] = files;
  return files.length === 1 && isGguf(file.name)
    ? openGgufModel(blobSource(file, file.name))
    : openModelDirectory(chosenFiles(files));
}

const actions = {
  async open(from) {
    model?.close();
    await source?.close();
    source = await openSource(from);
    // Threads need a page that is isolated from other origins; elsewhere there is one.
    const threads = crossOriginIsolated ? Math.max(1, Math.floor(navigator.hardwareConcurrency / 2)) : 1;
    model = await loadLanguageModel(source, {
      threads,
      onProgress: ({ done, total }) => postMessage({ type: 'progress', done, total }),
    });
    const { name, decoder, tokenizer } = model;
    const megabytes = Math.round(decoder.weightBytes / 1e6);
    postMessage({ type: 'opened', name, megabytes, threads, chats: tokenizer.chatTemplate !== undefined });
  },
  async generate({ prompt, chat, maxTokens }) {
    stopping = new AbortController();
    const messages = [{ role: 'user', content: prompt }];
    const tokens = chat
      ? model.tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }).tokens
      : model.encode(prompt);
    const pieces = model.stream(tokens, { maxTokens, signal: stopping.signal });
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return postMessage({ type: 'done', finishReason: value.finishReason, usage: value.usage });
      postMessage({ type: 'piece', text: value.text });
    }
  },
  stop() {
    stopping?.abort(new Error('Stopped.'));
  },
};

addEventListener('message', async ({ data }) => {
  try {
    await actions[data.type](data);
  } catch (error) {
    postMessage({ type: 'failed', message: error.message });
  }
});
