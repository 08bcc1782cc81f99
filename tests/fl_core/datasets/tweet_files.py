"""Tables like Sentiment140's, of tweets drawn by a rule: most words of a tweet are of its mood, the others any.

python -m tests.fl_core.datasets.tweet_files OUT --people 200
"""

import argparse
import csv
import random
from pathlib import Path

MOODS = {"0": ["sad", "tired", "rain", "lost", "ill", "sorry"], "4": ["happy", "sunny", "won", "friends", "love", "thanks"]}
ANY = ["I", "am", "so", "today", "at", "work", "with", "you", "http://example.com", "&amp;", "!", "Zoë's"]
LOYAL, WORDS = 0.25, 14


def write_table(path: Path, people: int, tweets_each: int, seed: int = 0) -> Path:
    """A table without a header, in Latin-1, every cell quoted; the tweets of all people mixed."""
    draw = random.Random(seed)
    rows = []
    for number in range(people * tweets_each):
        mood = draw.choice(sorted(MOODS))
        words = [draw.choice(MOODS[mood] if draw.random() < LOYAL else ANY + [word for mood in MOODS.values() for word in mood]) for _ in range(WORDS)]
        rows.append([mood, str(number), "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", f"person{number % people:04d}", " ".join(words)])
    with path.open("w", encoding="latin-1", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    return path


def best_share(path: Path) -> float:
    """The share of moods that somebody tells who knows the rule, by which mood has more of its words there; a tie counts half."""
    with path.open(encoding="latin-1", newline="") as file:
        rows = list(csv.reader(file))
    right = 0.0
    for mood, *_, text in rows:
        found = {one: sum(word in words for word in text.split()) for one, words in MOODS.items()}
        other = next(one for one in MOODS if one != mood)
        right += (found[mood] > found[other]) + (found[mood] == found[other]) / 2
    return right / len(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--tweets", type=int, default=50)
    given = parser.parse_args()
    print(f"Who knows the rule tells {best_share(write_table(given.out, given.people, given.tweets)):.3f} of the moods.")
