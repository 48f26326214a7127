/** Tokens that go through a block together; bounds the working memory of a long prompt. */
export const batchTokens = 128;
