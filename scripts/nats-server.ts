/**
 * Prints the path of a nats-server on stdout, and on stderr what it does to find or install one. It needs nothing but Node,
 * so it works before the packages are installed.
 */
import { findNatsServer } from '../src/cli/nats-server-binary.ts';

export { findNatsServer };

if (import.meta.main) {
  try {
    const { path } = await findNatsServer({ progress: (line) => console.error(`rookery: ${line}`) });
    console.log(path);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
