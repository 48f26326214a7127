import type { ChatMessage } from '@lbs/model-loaders';
import type { GenerationOptions, GenerationResult, LanguageModel } from '@lbs/runtime';

/** What was said so far. */
export interface Conversation {
  /** Whether the model's chat template is used; else texts are continued as they are. */
  readonly chats: boolean;
  readonly messages: readonly ChatMessage[];
}

/** The conversation with what a user says. */
export function withUser({ chats, messages }: Conversation, content: string): Conversation {
  return { chats, messages: [...messages, { role: 'user', content }] };
}

/** The tokens with which a user's text reaches the model. */
export function promptOf(model: LanguageModel, conversation: Conversation, text: string): readonly number[] {
  if (!conversation.chats) return model.encode(text);
  const { messages } = withUser(conversation, text);
  return model.tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }).tokens;
}

/** How a prompt is answered. */
export interface AnswerOptions extends GenerationOptions {
  /** Most tokens where `maxTokens` does not say, if the context has room for them. */
  readonly defaultMaxTokens: number;
}

/** Answers a prompt and shows the text as it comes. */
export async function answer(
  model: LanguageModel,
  prompt: readonly number[],
  { defaultMaxTokens, maxTokens, ...options }: AnswerOptions,
  show: (piece: string) => void,
): Promise<GenerationResult> {
  const room = Math.max(model.contextLength - prompt.length + 1, 1);
  const pieces = model.stream(prompt, {
    ...options,
    maxTokens: maxTokens ?? Math.min(defaultMaxTokens, room),
  });
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return value;
    show(value.text);
  }
}
