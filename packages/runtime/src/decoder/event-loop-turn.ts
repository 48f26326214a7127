/**
 * Lets timers, input and abort signals have their turn between two computations. A message is quicker than a timer: browsers make those
 * wait some milliseconds.
 */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
