import t from 'tap';
import { type PackedWords, unpackWords, WordsPacker } from '../../src/processes/packed-words.ts';

t.test('words come out as they went in, and in that order, however many portions they fill', async (t) => {
  const portions: PackedWords[] = [];
  const packer = new WordsPacker((portion) => portions.push(structuredClone(portion)));
  const told: [string, number, string][] = [];
  for (let i = 0; i < 300; i++) {
    const document = `乌鸦 ${i} ${'rook '.repeat(i * 7)}`;
    told.push(['add', 2 ** 40 + i, document]);
    packer.add(2 ** 40 + i, document);
    if (i % 5) continue;
    told.push(['remove', i, document]);
    packer.remove(i, document);
  }
  packer.flush();
  packer.flush();
  t.equal(portions.length, 2);
  const found: typeof told = [];
  const words = {
    add: (pos: number, document: string) => void found.push(['add', pos, document]),
    remove: (pos: number, document: string) => void found.push(['remove', pos, document]),
  };
  for (const portion of portions) unpackWords(portion, words);
  t.same(found, told);
});
