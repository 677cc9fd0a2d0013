"""Whether a text denies or changes what it contains: "no refund", "Paris is wrong", "42 million".

The words are those of English, and the sure ones of German, French, Spanish, Italian, Portuguese,
Dutch, Russian, Chinese, Japanese and Korean. Where it is not sure that a negation belongs to the
passage, it counts as one: "right in another form" must never be said of the opposite.
"""

from __future__ import annotations

import re

from tui_loop.core.text.opposites import opposites_of

_BEFORE, _AFTER, _NEAR = 120, 80, 30
"""The characters before a passage, after it, and before a number that are searched for a denial."""

_AUXILIARY = (
    r"(?:ai|are|ca|could|did|do|does|had|has|have|is|might|must|need|sha|should|was|were|wo|would)"
)
_NOT = rf"(?:{_AUXILIARY}n't|{_AUXILIARY}nt|(?:{_AUXILIARY}|can)not)"
_NEGATION = (
    rf"(?:{_NOT}|no|not|never|without|neither|nor|none|nothing|nobody|noone|nowhere|hardly"
    r"|nicht|kein(?:e[mnrs]?)?|nie|niemals|ohne|weder|nichts"
    r"|ne|pas|jamais|aucune?|sans|ni|non|sin|nunca|jamás|ning(?:ún|una?|uno)|tampoco"
    r"|senza|nessun[oa]?|não|sem|niet|geen|zonder|nooit|не|нет|без|ни)"
)
# "non" is left out: non-refundable may be one word or two.
_NEGATIONS = re.compile(rf"\b(?!non\b){_NEGATION}\b|\bn'(?=\w)|!=|(?<![\w!])!(?=[\w(])|≠|¬")
_DENYING = re.compile(
    rf"\b(?:{_NEGATION}|except|excluding|unlike|instead of|rather than|other than|far from"
    r"|fail(?:s|ed)? to|refus(?:e|es|ed|al)|unable to|wrong to|incorrect to|impossible"
    r"|den(?:y|ies|ied)|rejects?|rejected|doubts?|doubtful|lacks?|lacking"
    r"|statt|anstatt|außer|sauf|excepto|кроме|(?:any|every)\w+ but|all but)\b|\bn'(?=\w)"
)
_AFFIRMED = re.compile(
    r"\b(?:no|without(?: a| any)?|beyond) (?:doubt|question|wonder|problem)"
    r"|\bnot (?:only|just|merely|simply)\b|\b(?:nothing|none) (?:but|other than|else than)\b"
    r"|\bnicht nur\b|\bpas seulement\b|\bno (?:solo|sólo|solamente)\b|\bnon solo\b"
)
_ALL_BUT = re.compile(r"\b(?:(?:any|every)\w+|all) but\b")
_ASIDE = re.compile(rf"\b(not|never|nicht|pas|{_NOT})(?:\s*:|,[^,.;]*,)")
_SENTENCE = re.compile(r"[.!?](?=[\s\"')]|$)|[;:\n(。！？；：]|\s[-–]\s|—")
_CONTRAST = re.compile(
    r"\b(?:but|however|so|therefore|thus|hence|because|since|although|though|aber|sondern|daher"
    r"|deshalb|weil|denn|mais|donc|car|pero|sino|porque|ma|perché|mas|но|а)\b"
)
_LISTED = re.compile(r"\s*(?:[\w']+\s+){0,3}?(?:or|nor|oder|noch|ou|ni|o)\s+(?:[\w']+\s+)?\W*\Z")
_PREFIX = re.compile(
    r"(?<!\w)(?:non|un|anti|de|dis|ex|pre|post|counter|contra|in|im|il|ir|a|mis|pseudo|nicht)-\Z"
)
_SUFFIX = re.compile(r"-(?:free|less|proof|frei|los)\b")

_IS = r"(?:is|are|was|were|be|been|seems?|would be|looks?|ist|sind|war|est|sont|es|son|está)"
_WRONG = (
    r"(?:wrong|incorrect|false|untrue|impossible|denied|rejected|refused|declined|unlikely"
    r"|no longer|unavailable|ineligible|forbidden|out of the question|falsch|unmöglich"
    r"|ausgeschlossen|abgelehnt|faux|impossible|refusée?|falso|imposible|incorrecto)"
)
_DENIED_AFTER = re.compile(
    r"[\"'*)\]»“”]*\s*(?:"
    rf"(?:{_NOT})\b|(?:{_AUXILIARY}|can|will|shall|may)\s+(?:\w+ly\s+|also\s+|still\s+)?(?:not|never)\b"
    rf"|{_IS}\s+(?:\w+\s+)?{_WRONG}\b"
    r"|(?:ist|sind|war|waren|wird|werden|kann|können|darf|dürfen|hat|haben)\s+(?:\w+\s+){0,2}?"
    r"(?:nicht|nie|niemals|keine?)\b"
    r"|ne\s|n'\w|не\s"
    rf"|[:=?]?\s*(?:no|not|none|never|nein|nicht|non|нет|{_WRONG})\b(?!\s+(?:doubt|only|just|problem))"
    rf"|[-–]\s*(?:no|none|nein|{_WRONG})\s*(?:[.,;!]|\Z)"
    r")"
)
_NEGATION_ALONE = re.compile(rf"\W*{_NEGATION}\W*")
_UNSPACED_BEFORE = re.compile(
    r"[不没沒无無未非勿](?!过|過|但|仅|僅|只|好意思|客气|客氣|错|錯)[^，。！？；、,.!?:：\s]{0,4}\Z"
)
_UNSPACED_AFTER = re.compile(
    r"[^。、！？.,!?\n]{0,6}?(?:ない|ません|なし|아니|아닙|않|없|못|불가|不可|是错|是錯)"
)

_COMPARED_BEFORE = re.compile(
    r"(?:\b(?:(?:less|more|fewer|greater|other|higher|lower|smaller|larger|older|younger) than"
    r"|at (?:least|most)|up to|over|under|below|above|minus|negative|twice|half(?: of)?"
    r"|weniger als|mehr als|mindestens|höchstens|moins|plus de|menos|más de)"
    r"|[<>≤≥≠~^]=?|\d\s*[/:^×*])\s*[$€£¥]?\s*\Z"
)
_SCALED_AFTER = re.compile(
    r"\s*(?:thousand|hundred|dozen|tausend|mil(?:le)?|mi(?:o|ll(?:ion|iarde?|ón|one)\w*)|mrd"
    r"|billion\w*|trillion\w*|k|bn|mn)\b"
    r"|\s*(?:[/:^×*]|[-–]|(?:or|to|bis|oder|à|ou)\s)\s*[$€£¥]?\d"
)
_EITHER_AFTER = re.compile(r"\s*(?:[,/|]\s*|(?:[,/|]\s*)?(?:or|and|oder|und|ou|et|o|y)\s+|\s)(\w+)")
_EITHER_BEFORE = re.compile(r"(\w+)\s*(?:[/|]\s*|,?\s(?:or|and|oder|und|ou|et|o|y)\s+)\Z")


def same_negations(left: str, right: str) -> bool:
    """Returns whether two normalised texts have equally many negations."""
    return len(_NEGATIONS.findall(_straight(left))) == len(_NEGATIONS.findall(_straight(right)))


def is_denied(text: str, start: int, end: int) -> bool:
    """Returns whether the text around `text[start:end]` denies that passage or changes it."""
    passage = text[start:end].casefold()
    before = _straight(text[max(0, start - _BEFORE) : start].casefold())
    after = _straight(text[end : end + _AFTER].casefold())
    return (
        (bool(before) and _denies(before))
        or (bool(after) and _is_denied_by(after, passage))
        or _is_one_of_two(before, passage, after)
        or (passage[:1].isdigit() and _COMPARED_BEFORE.search(before[-_NEAR:]) is not None)
        or (passage[-1:].isdigit() and _SCALED_AFTER.match(after) is not None)
    )


def _straight(text: str) -> str:
    return text.replace("’", "'")


def _denies(before: str) -> bool:
    """Returns whether the clause that the passage ends denies it."""
    if before.endswith("-") and _PREFIX.search(before):
        return True
    if not before.isascii() and _UNSPACED_BEFORE.search(before):
        return True
    if _DENYING.search(before) is None:
        return False
    before = _ALL_BUT.sub("not", _AFFIRMED.sub("", before))
    sentence = _SENTENCE.split(_ASIDE.sub(r"\1", before))[-1]
    statement = _CONTRAST.split(sentence)[-1]
    clause = statement.rpartition(",")[2]
    if _LISTED.match(clause):
        clause = statement
    return _DENYING.search(clause) is not None


def _is_denied_by(after: str, passage: str) -> bool:
    if _SUFFIX.match(after) or (not after.isascii() and _UNSPACED_AFTER.match(after)):
        return True
    return _DENIED_AFTER.match(after) is not None and not _NEGATION_ALONE.fullmatch(passage)


def _is_one_of_two(before: str, passage: str, after: str) -> bool:
    """Returns whether the passage and its opposite are both given, as in "yes or no"."""
    others = opposites_of(passage)
    if not others:
        return False
    found = _EITHER_AFTER.match(after), _EITHER_BEFORE.search(before)
    return any(each is not None and each.group(1) in others for each in found)
