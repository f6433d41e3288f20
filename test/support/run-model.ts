/** Something real beside a model of it, which commands at random are run on. Its methods reject where the two differ. */
export interface ModelledRun<Command> {
  open(): Promise<void>;
  run(command: Command): Promise<void>;
  /** Checks what must hold after the last command. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Runs the commands in order, and closes the model whatever they do. */
export async function runModel<Command>(model: ModelledRun<Command>, commands: readonly Command[]): Promise<void> {
  await model.open();
  try {
    for (const it of commands) await model.run(it);
    await model.finish();
  } finally {
    await model.close();
  }
}
