/**
 * A process's configuration: the schema's defaults, then a JSON file, then ROOKERY_* environment variables, then flags;
 * later ones win. The only place where the environment is read. ROOKERY_NATS__SERVERS sets `nats.servers`: `__` goes one
 * level down, names are in upper snake case, values are JSON where they parse as it and text otherwise.
 */
import { readFileSync } from 'node:fs';
import type { Static, TObject, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { RookeryError } from '../../protocol/error-codes.ts';

type Tree = { [key: string]: unknown };

export interface Sources {
  /** Path of a JSON file. */
  readonly file?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv;
  /** Already a tree: `{ nats: { servers: [...] } }`. */
  readonly flags?: Tree;
}

export interface Origin {
  readonly field: string;
  readonly value: unknown;
  readonly from: 'default' | 'file' | 'environment' | 'flag';
}

export interface Loaded<Schema extends TObject> {
  readonly config: Static<Schema>;
  /** Every field in force and where it came from. */
  readonly origins: readonly Origin[];
}

/** @throws RookeryError CONFIGURATION_INVALID that names the field and what it should be */
export function loadConfiguration<Schema extends TObject>(schema: Schema, sources: Sources): Loaded<Schema> {
  const layers: [Origin['from'], Tree][] = [
    ['default', Value.Default(schema, {}) as Tree],
    ['file', sources.file ? fromFile(sources.file) : {}],
    ['environment', fromEnvironment(schema, sources.environment ?? process.env)],
    ['flag', sources.flags ?? {}],
  ];
  const merged: Tree = {};
  const from = new Map<string, Origin['from']>();
  for (const [name, layer] of layers) merge(merged, layer, (field) => from.set(field, name));
  const [problem] = Value.Errors(schema, merged);
  if (problem) {
    throw new RookeryError(
      'CONFIGURATION_INVALID',
      `${problem.instancePath.slice(1).replaceAll('/', '.')}: ${problem.message}`,
    );
  }
  const origins = [...from].map(([field, origin]) => ({ field, value: at(merged, field), from: origin }));
  return { config: merged as Static<Schema>, origins };
}

function fromFile(path: string): Tree {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Tree;
  } catch (cause) {
    throw new RookeryError('CONFIGURATION_INVALID', `${path}: ${String(cause)}`, { cause });
  }
}

function fromEnvironment(schema: TObject, environment: NodeJS.ProcessEnv): Tree {
  const tree: Tree = {};
  for (const field of leavesOf(schema)) {
    const name = `ROOKERY_${field
      .replaceAll('.', '__')
      .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
      .toUpperCase()}`;
    const text = environment[name];
    if (text !== undefined) merge(tree, nest(field, parse(text)), () => undefined);
  }
  return tree;
}

function leavesOf(schema: TObject, prefix = ''): string[] {
  return Object.entries(schema.properties as Record<string, TSchema & { properties?: object }>).flatMap(
    ([key, field]) => (field.properties ? leavesOf(field as TObject, `${prefix}${key}.`) : [`${prefix}${key}`]),
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `a.b` = 1 as `{ a: { b: 1 } }`. */
export const nest = (field: string, value: unknown): Tree =>
  field.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

function merge(target: Tree, layer: Tree, set: (field: string) => void, prefix = ''): void {
  for (const [key, value] of Object.entries(layer)) {
    if (value === undefined) continue;
    if (isTree(value)) {
      if (!isTree(target[key])) target[key] = {};
      merge(target[key] as Tree, value, set, `${prefix}${key}.`);
    } else {
      target[key] = value;
      set(prefix + key);
    }
  }
}

const at = (tree: Tree, field: string): unknown =>
  field.split('.').reduce<unknown>((value, key) => (value as Tree | undefined)?.[key], tree);
