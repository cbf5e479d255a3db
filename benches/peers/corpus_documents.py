"""Documents of about 2 kB as JSON lines, made of the lines of a text: each line
with words exchanged, a tenth of the documents nearly the one before, and a
twentieth with a telephone number and an address.

    corpus_documents.py LINES.txt FOLDER COUNT
"""

import json
import os
import random
import sys

source, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(source, encoding="utf-8") as text:
    lines = [line.strip() for line in text if len(line) > 60]
words = " ".join(lines).split()
draw = random.Random(7)
os.makedirs(folder)
size, before = 0, None
with open(os.path.join(folder, "documents.jsonl"), "w", encoding="utf-8") as out:
    for number in range(count):
        length, made = 0, []
        while length < 2000:
            line = draw.choice(lines).split()
            for _ in range(len(line) // 6 + 1):
                line[draw.randrange(len(line))] = draw.choice(words)
            made.append(" ".join(line))
            length += len(made[-1])
        text = "\n".join(made)
        if before and draw.random() < 0.1:
            text = before.replace(" na ", " pia ", 2)
        if draw.random() < 0.05:
            text += f"\nPiga 0712 {draw.randrange(100000, 999999)} au andika kwa a{number}@mfano.co.tz"
        before = text
        size += len(text.encode())
        out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
print(f"{count} documents, {size / 1e6:.1f} MB")
