"""Statements by rule: what an event says, in its own words, and what sort of knowledge that is.

The words that the rules know are English, and the small talk of a few other languages. What they do not know is kept as
a fact: nothing is dropped because nobody here can read it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise
from typing import Final

from commonplace.core.english import GENERIC, STOPWORDS
from commonplace.core.passages import SENTENCE_END
from commonplace.model.event import Event, EventKind
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.ports.extractor import MOST_STATEMENT, Extracted, beginning

LONG: Final = 1_000
"""Characters of a text that is one statement; a longer one is several. The first so many say of what sort it is."""

PASSAGE: Final = 600
"""Characters of a passage of a long text: a few sentences, about 100 words. A longer sentence is a passage of its own."""

CRUMB: Final = PASSAGE // 4
"""A last passage of fewer characters joins the one before it."""

MOST_ENTITIES: Final = 8
LONGEST_ENTITY: Final = 60
MOST_WORDS_OF_A_NAME: Final = 4
"""More words with capitals in a row are a headline or shouted."""

_USER = frozenset({EventKind.USER})
_SPEECH = frozenset({EventKind.USER, EventKind.ASSISTANT})
_RECORDED = frozenset({EventKind.TOOL, EventKind.APP})

_STARTS = r"(?:^|[.!?:;] |[-*•] )(?:please |and |so |but |also )?"
_WHO = r"\b(?:i|we|he|she|they|you|the user)"
_SPAN = r"(?:second|minute|hour|day|week|weekend|month|year|decade)"
_MANY = r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|a few|a couple of|several)"
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_DID = (
    r"(?:went|visited|met|saw|bought|sold|got|came|left|made|took|gave|told|found|lost|won|ran|wrote|sent|spoke|spent|had|"
    r"did|began|broke|built|caught|drove|ate|drank|flew|forgot|heard|kept|learnt|led|moved|paid|taught|wore|was [ai]t|"
    r"was in|were [ai]t|were in|\w{2,20}(?<!e)ed)\b"
)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_WHATEVER = _any("")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a text is that comes with an event of one of these kinds and has these words (in lower case, with plain
    apostrophes and single spaces). ``confidence`` is how far such words are to be trusted, estimated and not measured."""

    kind: str
    nature: Nature
    confidence: float
    events: frozenset[EventKind]
    words: re.Pattern[str]


RULES: Final = (
    # A machine told what it did: that is an event, whatever its words are.
    Rule("event", Nature.EPISODIC, 0.9, _RECORDED, _WHATEVER),
    # A question states nothing, but it was asked.
    Rule(
        "question",
        Nature.EPISODIC,
        0.5,
        _SPEECH,
        _any(
            r"^(?:what|who|whose|whom|where|when|why|how|which|am|is|are|was|were|do|does|did|has|have|had|should|shall|will)"
            r"\b[^.!?…]*\?+$"
        ),
    ),
    Rule(
        "decision",
        Nature.SEMANTIC,
        0.9,
        _SPEECH,
        _any(
            r"\b(?:i|we|they|the team|it was|it's been|it has been)(?:'ve|'d| have| had| has)?"
            r"(?: just| now| finally| already| both| all)? (?:decided|agreed|settled|chose|chosen|opted)\b",
            r"\b(?:let's|let us|we'll|we will|i'll|i will|we're going to|we are going to) "
            r"(?:go with|use|stick with|stick to|settle on|adopt)\b",
            r"\b(?:going|went) with\b",
            r"\b(?:the|our|my|final) decision\b",
        ),
    ),
    Rule(
        "norm",
        Nature.PROCEDURAL,
        0.9,
        _SPEECH,
        _any(
            _STARTS + r"(?:always|never|make sure|be sure|from now on|going forward|avoid|"
            r"(?:don't|do not) (?!worry|know|think|have|want|need|mind|understand|like|care|remember|see|you|we|i)\w+)\b",
            r"\b(?:must|should|shall|have to|need to|ought to|may|can) (?:always|never|only)\b",
            r"\b(?:must not|mustn't|may not|not allowed|forbidden|prohibited|whenever)\b",
            r"\b(?:the|our|my|a|company) (?:rule|policy|convention|guideline)s?\b",
        ),
    ),
    # Only the user's own words say what the user likes; an assistant that loves an idea is polite.
    Rule(
        "preference",
        Nature.SEMANTIC,
        0.9,
        _USER,
        _any(
            r"\b(?:i|we)(?: (?:really|absolutely|always|generally|usually|strongly|much|also|still|do|just|do not|don't|never|"
            r"personally)){0,2} (?:prefer|love|like|hate|dislike|enjoy|adore|detest|favou?r)\b",
            r"\b(?:i'd|i would) (?:\w+ )?(?:rather|prefer)\b",
            r"\b(?:i'm|i am) (?:\w+ )?(?:fond of|allergic to|a fan of|keen on|into)\b",
            r"\bi (?:can't|cannot|can not|don't|do not) (?:stand|bear|care for)\b",
        ),
    ),
    Rule(
        "preference",
        Nature.SEMANTIC,
        0.8,
        _SPEECH,
        _any(
            r"\b(?:favou?rites?|prefers|preferred|preferences?|likes|loves|hates|dislikes|enjoys)\b",
            r"\byou (?:prefer|like|love|hate|dislike|enjoy)\b",
        ),
    ),
    Rule(
        "procedure",
        Nature.PROCEDURAL,
        0.8,
        _SPEECH,
        _any(
            r"\bhow to\b",
            r"\bsteps?(?: to | for |:| \d)",
            r"(?:^| )1[.)] .* 2[.)] ",
            _STARTS + r"first,? .*\b(?:then|next|after that|second|finally)\b",
            _STARTS + r"to [^.?!,]{3,80}, (?:you |just |first )?"
            r"(?:run|use|open|click|go to|set|add|type|press|call|install|select|need)\b",
        ),
    ),
    Rule("question", Nature.EPISODIC, 0.5, _SPEECH, _any(r"^[^.!?…。！？؟]*[?？؟]+$")),
    Rule(
        "event",
        Nature.EPISODIC,
        0.8,
        _SPEECH,
        _any(
            r"\b(?:yesterday|earlier today|this morning|the other day)\b",
            rf"\blast (?:night|spring|summer|autumn|fall|winter|{_SPAN}|{_DAY})\b",
            rf"\b{_MANY} {_SPAN}s? ago\b",
            rf"{_WHO}(?:'ve|'s| have| has)?(?: just| also| finally| then| once| all| both| already| recently)? (?:been\b|{_DID})",
        ),
    ),
    Rule("fact", Nature.SEMANTIC, 0.7, _USER, _WHATEVER),
    # What an assistant says may be right.
    Rule("fact", Nature.SEMANTIC, 0.5, _SPEECH, _WHATEVER),
)
"""The first one that fits says what a text is."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_QUOTED = re.compile(
    r"\"(\S|\S[^\"\n]{0,58}\S)\"|„([^“\n]{1,60})“|“([^”\n]{1,60})”|«([^»\n]{1,60})»|「([^」\n]{1,60})」|`([^`\n]{1,60})`"
)
_LETTERS = re.compile(r"[^\W\d_][\w&'’-]*(?:\.\w+)*")
_POSSESSIVE = re.compile("['’]s$")
_OPENS = re.compile(r"[.!?…。！？\n]|[-*#>•] ")


def _phrases(lines: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(_words(phrase)) for phrase in re.split("[,\n]", lines) if phrase.strip())


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("’", "'").casefold())


GREETINGS: Final = _phrases("""
hi, hey, hello, hiya, howdy, dear, good morning, good afternoon, good evening, good night, good day, hi there, hello there
hey there, bye, goodbye, bye bye, see you, take care, thanks, thank you, thank you so much, thanks a lot, many thanks, thx
hola, buenos días, buenas tardes, buenas noches, adiós, gracias, muchas gracias, olá, oi, bom dia, boa tarde, boa noite
obrigado, obrigada, bonjour, bonsoir, salut, merci, merci beaucoup, au revoir, hallo, moin, servus, guten morgen, guten tag
guten abend, gute nacht, tschüss, danke, danke schön, dankeschön, vielen dank, ciao, buongiorno, buonasera, grazie
grazie mille, hej, tack, dank je, dank u, bedankt, привет, здравствуйте, спасибо, merhaba, teşekkürler, cześć, dziękuję
dzięki, 你好, 您好, 谢谢, 谢谢你, 再见, こんにちは, おはよう, おはようございます, こんばんは, ありがとう
ありがとうございます, 안녕, 안녕하세요, 감사합니다, 고마워요, مرحبا, شكرا, שלום, תודה, नमस्ते, धन्यवाद
""")
"""Phrases that open, close or thank; a name may follow."""

ACKNOWLEDGEMENTS: Final = _phrases("""
there, all, everyone, everybody, folks, guys, team, again, so much, very much, a lot, later, tomorrow, soon, too, ty, yo
ok, okay, okey, k, kk, alright, all right, right, sure, sure thing, of course, certainly, absolutely, definitely, indeed
yes, yep, yeah, yup, ya, no, nope, nah, please, maybe, perhaps, true, correct, exactly, agreed, roger, cheers, welcome
great, good, nice, cool, awesome, perfect, excellent, wonderful, fantastic, brilliant, amazing, lovely, super, fine, wow
got it, i see, understood, noted, makes sense, sounds good, looks good, that works, works for me, fair enough, go ahead
that's great, that's good, that's fine, that's perfect, good to know, good job, well done, nice one, good point, done
no problem, no worries, never mind, nevermind, you're welcome, you are welcome, my pleasure, anytime, don't mention it
how are you, how are you doing, how are you today, how's it going, what's up, sup, i'm fine, i'm good, not bad, and you
nice to meet you, pleased to meet you, have a nice day, have a good day, have a great day, you too, same here, same to you
sorry, my bad, oops, excuse me, pardon, oh, ah, hm, hmm, hmmm, mm, mhm, uh, um, er, eh, huh, well, so, lol, haha, hahaha
hehe, yay, hooray, congrats, congratulations, for that, for your help, for the help, for everything, much appreciated
i appreciate it, lgtm, np, morning, great question, good question, happy to help, glad to help, glad i could help
i'm happy to help, i'm glad i could help, glad to hear that, hope that helps, hope this helps, i hope that helps
i hope this helps, feel free to ask, let me know, let me know if you need anything else, let me know if you need more help
let me know if you have any questions, is there anything else, is there anything else i can help you with, how can i help
how can i help you, how can i help you today, how may i help you, what can i do for you, anything else
sí, vale, claro, de nada, sim, não, oui, non, d'accord, de rien, ja, nein, genau, bitte
alles klar, gut, prima, va bene, sì, prego, да, нет, хорошо, ок, пока, 好, 好的, 是, 不是, はい, いいえ, わかりました, 네
아니요, نعم, لا
""")
"""Phrases that agree, decline, praise or fill, and those that go on after a greeting."""

_SMALL_TALK = GREETINGS | ACKNOWLEDGEMENTS
_MOST_WORDS_OF_A_PHRASE = max(map(len, _SMALL_TALK))


class RuleExtractor:
    """The Extractor port by rule: deterministic, at once, without tokens, and without an event that fails. Context changes
    nothing, since the words are kept as they are."""

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:  # noqa: ARG002 - the port has it
        """The statements of each event."""
        return [Extracted(statements(event)) for event in events]


def statements(event: Event) -> tuple[Statement, ...]:
    """The content verbatim, without the white space around it, as one statement; of more than ``LONG`` characters, one for
    each passage of a few whole sentences, in order and each once. What is small talk gives none."""
    passages = dict.fromkeys(_passages(event.content.strip()))
    return tuple(_statement(text, event.kind) for text in passages if not small_talk(text))


def small_talk(text: str) -> bool:
    """Whether a text is nothing but greetings, thanks and acknowledgements, in whatever combination, or has no letter and
    no digit at all."""
    written = _WORD.findall(text.replace("’", "'"))
    words = [word.casefold() for word in written]
    greeted: dict[int, bool] = {0: False}
    """The numbers of words that are phrases from first to last, and whether a name may follow."""
    for start in range(len(words)):
        if start not in greeted:
            continue
        if greeted[start] and written[start].istitle():
            greeted.setdefault(start + 1, False)
        for end in range(start + 1, min(start + _MOST_WORDS_OF_A_PHRASE, len(words)) + 1):
            phrase = tuple(words[start:end])
            if phrase in _SMALL_TALK:
                greeted[end] = greeted.get(end, False) or phrase in GREETINGS
    return len(words) in greeted


def _passages(text: str) -> Iterator[str]:
    if len(text) <= LONG:
        yield text
        return
    cuts, last = [0], 0
    for end in [*(match.end() for match in SENTENCE_END.finditer(text)), len(text)]:
        if end - cuts[-1] > PASSAGE and last > cuts[-1]:
            cuts.append(last)
        last = end
    if len(cuts) > 1 and len(text) - cuts[-1] < CRUMB:
        cuts.pop()
    for start, end in pairwise([*cuts, len(text)]):
        for piece in range(start, end, MOST_STATEMENT):
            yield text[piece : min(end, piece + MOST_STATEMENT)].strip()


def _statement(text: str, kind: EventKind) -> Statement:
    words = " ".join(text[:LONG].replace("’", "'").casefold().split())
    rule = next(rule for rule in RULES if kind in rule.events and rule.words.search(words))
    insight = Insight(nature=rule.nature, title=beginning(text), confidence=rule.confidence, entities=_entities(text))
    return Statement(text=text, kind=rule.kind, insight=insight)


def _entities(text: str) -> tuple[str, ...]:
    """What stands in quotes, then what has capitals, each in the order of the text and each once. A part of what is found
    already is nothing new."""
    # In JSON everything stands in quotes.
    quoted = [] if text[0] in "{[" else [match[match.lastindex or 0].strip() for match in _QUOTED.finditer(text)]
    found: list[str] = []
    for name in [*quoted, *_names(text)]:
        if len(found) == MOST_ENTITIES:
            break
        known = any(f" {name} ".casefold() in f" {other} ".casefold() for other in found)
        if len(name) <= LONGEST_ENTITY and not known and not small_talk(name):
            found.append(name)
    return tuple(found)


def _names(text: str) -> list[str]:
    """Words with capitals, together where they follow each other. The first word of a sentence has one anyway: alone it
    counts only if there is a further capital or a digit in it, or if it is a name elsewhere in the text."""
    found: list[tuple[str, bool]] = []
    for opens, run in _capitals(text):
        words = list(dropwhile(_common, [*run[:-1], _POSSESSIVE.sub("", run[-1])]))
        if 1 <= len(words) <= MOST_WORDS_OF_A_NAME:
            alone = opens and len(run) == 1
            found.append((" ".join(words), alone and words[0][1:].islower()))
    sure = {name for name, doubtful in found if not doubtful}
    return [name for name, doubtful in found if name in sure]


def _capitals(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Runs of words that begin with a capital, and whether a sentence begins with the run."""
    run: list[str] = []
    opens, end = False, 0
    for match in _LETTERS.finditer(text):
        word, gap = match[0], text[end : match.start()]
        if run and (gap != " " or not word[0].isupper()):
            yield opens, run
            run = []
        if word[0].isupper():
            opens = opens if run else not end or bool(_OPENS.search(gap))
            run.append(word)
        end = match.end()
    if run:
        yield opens, run


def _common(word: str) -> bool:
    """Whether a word with a capital is no part of a name."""
    plain = re.split("['’]", word.casefold())[0]
    return len(plain) == 1 or plain in STOPWORDS or plain in GENERIC or (plain,) in _SMALL_TALK
