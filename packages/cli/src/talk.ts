import { createInterface } from 'node:readline/promises';
import type { LanguageModel } from '@lbs/runtime';
import pc from 'picocolors';
import { type AnswerOptions, answer, type Conversation, promptOf, withUser } from './conversation.js';

/** The streams of a terminal. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

/**
 * A conversation: reads what the user says and writes the answers, until the input ends. Ctrl-C stops an answer, and ends the
 * conversation where none is being written. What a model with a chat template answered is part of the next prompt, and its
 * keys and values stay in the cache.
 */
export async function talk(
  model: LanguageModel,
  begun: Conversation,
  options: AnswerOptions,
  signal: AbortSignal,
  { input, output }: Terminal = { input: process.stdin, output: process.stdout },
): Promise<void> {
  const terminal = createInterface({ input, output });
  let conversation = begun;
  let answering: AbortController | undefined;
  let ended = false;
  const end = () => {
    ended = true;
    answering?.abort();
  };
  signal.addEventListener('abort', end);
  terminal.on('close', end);
  terminal.on('SIGINT', () => (answering ? answering.abort() : terminal.close()));
  try {
    for (;;) {
      const text = await ask(terminal);
      if (text === undefined || ended) return;
      if (text.trim() === '') continue;
      answering = new AbortController();
      let shown = '';
      try {
        await answer(
          model,
          promptOf(model, conversation, text),
          { ...options, signal: answering.signal },
          (piece) => {
            shown += piece;
            output.write(piece);
          },
        );
      } catch (error) {
        if (!answering.signal.aborted) throw error;
      } finally {
        answering = undefined;
      }
      output.write('\n');
      if (ended) return;
      if (conversation.chats) {
        const { chats, messages } = withUser(conversation, text);
        conversation = { chats, messages: [...messages, { role: 'assistant', content: shown }] };
      }
    }
  } finally {
    signal.removeEventListener('abort', end);
    terminal.close();
  }
}

/** The next line, or undefined where the input has ended. */
async function ask(terminal: ReturnType<typeof createInterface>): Promise<string | undefined> {
  return new Promise((resolve) => {
    const close = () => resolve(undefined);
    terminal.once('close', close);
    terminal.question(pc.bold('> ')).then(
      (line) => {
        terminal.removeListener('close', close);
        resolve(line);
      },
      () => resolve(undefined),
    );
  });
}
