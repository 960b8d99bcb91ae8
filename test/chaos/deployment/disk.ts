/**
 * A disk of the suite's own: an ext4 file system in a file, mounted by a loop device, so that it can be full, or lose its
 * power, without harm to the machine. Needs Linux, root and the right to mount.
 *
 * The power is cut by ext4's own shutdown call (`EXT4_IOC_SHUTDOWN`, in newer kernels `FS_IOC_SHUTDOWN`) with the flag
 * NOLOGFLUSH: from that moment on nothing reaches the disk any more, neither data that was written and not yet synced nor the
 * journal's open transaction. What is read after the next mount is what fsync had made sure of. (`kill -9` alone loses no
 * written byte: those live on in the kernel's page cache.)
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A server grants its streams three quarters of what is free when it starts; three servers share the disk. */
const IMAGE_BYTES = 4 * 1_024 ** 3;
const MAX_FILL_ATTEMPTS = 10;
/** What the disk is filled with. */
const BALLAST_FILE = 'ballast';

/** Node has no ioctl; Python is there wherever the tests' set-up is. 0x8004587d: `_IOR('X', 125, __u32)`. */
const SHUTDOWN = `
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(fd, 0x8004587d, struct.pack('I', 2))
`;

export class Disk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #image: string;
  #isMounted = false;

  /** @throws Error that says why this machine does not allow it */
  static create(dir: string): Disk {
    const image = join(dir, 'disk.img');
    const path = join(dir, 'disk');
    mkdirSync(path, { recursive: true });
    writeFileSync(image, '');
    truncateSync(image, IMAGE_BYTES);
    // Without a reserve for root, and with its tables written now: nothing goes on in the background.
    const options = 'lazy_itable_init=0,lazy_journal_init=0';
    run('mkfs.ext4', ['-q', '-F', '-m', '0', '-E', options, image]);
    const disk = new Disk(image, path);
    disk.mount();
    return disk;
  }

  private constructor(image: string, path: string) {
    this.#image = image;
    this.path = path;
  }

  /** The journal is replayed, as after a power failure. */
  mount(): void {
    if (this.#isMounted) return;
    run('mount', ['-o', 'loop', this.#image, this.path]);
    this.#isMounted = true;
  }

  /** Whoever has files open here must be gone. */
  unmount(): void {
    if (!this.#isMounted) return;
    run('umount', [this.path]);
    this.#isMounted = false;
  }

  /** All that was written so far is on the disk now. */
  sync(): void {
    run('sync', ['-f', this.path]);
  }

  /** What is not on the disk now will never be. Every call to it fails from here on; `unmount` and `mount` bring it back. */
  cutPower(): void {
    run('python3', ['-c', SHUTDOWN, this.path]);
  }

  /** Leaves `freeBytes`. */
  fill(freeBytes: number): void {
    for (let attempt = 1; ; attempt++) {
      const { bavail, bsize } = statfsSync(this.path);
      const bytes = bavail * bsize - freeBytes;
      try {
        if (bytes > 0) run('fallocate', ['-l', String(bytes), join(this.path, BALLAST_FILE)]);
        return;
      } catch (error) {
        // Others were faster with what was free; what was taken before it failed counts as well.
        if (attempt === MAX_FILL_ATTEMPTS) throw error;
      }
    }
  }

  empty(): void {
    rmSync(join(this.path, BALLAST_FILE), { force: true });
  }

  remove(): void {
    this.unmount();
    rmSync(this.#image, { force: true });
  }
}

/** Why there can be no disk of our own here, or undefined where there can. */
export function whyNoDisk(dir: string): string | undefined {
  if (process.platform !== 'linux') return 'loop devices need Linux';
  if (process.getuid?.() !== 0) return 'mounting needs root';
  const trial = join(dir, 'trial');
  try {
    Disk.create(trial).remove();
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n')[0] as string;
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (cause) {
    const said = String((cause as { stderr?: Buffer }).stderr ?? '').trim();
    throw new Error(`${command}: ${said || (cause as Error).message}`, { cause });
  }
}
