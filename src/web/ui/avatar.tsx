/** Initials on a colour that follows from the id. Pictures from elsewhere are not loaded: whoever serves them would learn who looks. */
const HUES = 12;

export function Avatar({ id, name, size = 44, isGroup = false }: AvatarProps) {
  return (
    <span
      class={`avatar hue-${hueOf(id)}${isGroup ? ' avatar-group' : ''}`}
      style={{ width: `${size}px`, height: `${size}px`, fontSize: `${Math.round(size * 0.38)}px` }}
      aria-hidden="true"
    >
      {initialsOf(name)}
    </span>
  );
}

interface AvatarProps {
  readonly id: string;
  readonly name: string;
  /** px */
  readonly size?: number;
  readonly isGroup?: boolean;
}

export function hueOf(id: string): number {
  let hash = 0;
  for (const char of id) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash % HUES;
}

/** One sign of Chinese says as much as two letters. */
function initialsOf(name: string): string {
  const words = name
    .trim()
    .split(/[\s_.-]+/u)
    .filter(Boolean);
  const [first = '', second = ''] = words.map((word) => [...word][0] ?? '');
  if (/\p{Script=Han}/u.test(first)) return [...(words[0] ?? '')].slice(-1).join('');
  return (first + second).toUpperCase();
}
