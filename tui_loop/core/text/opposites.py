"""Pairs of words that mean the opposite, and near words that mean something else."""

from __future__ import annotations

from functools import lru_cache

_OPPOSITES = """
increase decrease|increased decreased|increases decreases|increasing decreasing|rise fall|up down
accept reject|accepted rejected|accepted declined|approve deny|approve reject|approved denied
approved rejected|approved declined|approval denial|approval rejection|allow block|allow deny
allowed blocked|allowed forbidden|allowed denied|permit forbid|permitted forbidden|grant deny
granted denied|valid invalid|positive negative|pos neg|before after|earlier later|min max
minimum maximum|minimize maximize|minimise maximise|open close|open closed|opened closed
enable disable|enabled disabled|on off|yes no|ja nein|oui non|sí no|si no|true false|wahr falsch
vrai faux|right wrong|correct incorrect|right left|above below|over under|more less|most least
many few|add remove|added removed|buy sell|bought sold|win lose|won lost|pass fail|passed failed
high low|higher lower|large small|larger smaller|big small|long short|longer shorter|hot cold
fast slow|faster slower|early late|first last|start end|start stop|begin end|safe unsafe
spam ham|spam notspam|toxic nontoxic|fake real|good bad|better worse|best worst|success failure
include exclude|included excluded|import export|import exports|input output|inside outside|in out
internal external|public private|present absent|male female|hire fire|love hate|agree disagree
like dislike|legal illegal|possible impossible|likely unlikely|eligible ineligible|active inactive
active passive|guilty innocent|dead alive|full empty|front back|push pull|send receive
sent received|credit debit|profit loss|plus minus|always never|all none|everyone nobody
north south|east west|upper lower|attack defend|strong weak|easy hard|easy difficult|rich poor
entailment contradiction|supports refutes|supported refuted|acquire divest|expand contract
expand shrink|encrypt decrypt|encode decode|ascending descending|upload download|upgrade downgrade
install uninstall|lock unlock|subscribe unsubscribe|visible hidden|bullish bearish|benign malignant
"""

_CONFUSABLE = """
accept except|affect effect|adapt adopt|allusion illusion|angel angle|adverse averse|bath bathe
board broad|breath breathe|brother bother|calm clam|calvary cavalry|casual causal|cloth clothe
complement compliment|complementary complimentary|conserve converse|construct constrict
council counsel|counsel consul|county country|dairy diary|desert dessert|discreet discrete
form from|friend fiend|grid gird|hoping hopping|human humane|immoral immortal|ingenious ingenuous
later latter|lots lost|loose lose|marital martial|moral mortal|moral morale|mortal immortal
nuclear unclear|ordinance ordnance|palpation palpitation|patent patient|perfect prefect
perineal peroneal|planed planned|plain plane|prostate prostrate|quiet quite|sacred scared
signed singed|silver sliver|staring starring|stationary stationery|statue statute|though through
though thought|through thorough|thorough thought|tired tried|tires tries|trail trial|two tow
unite untie|united untied|urban urbane|whether weather|word sword|word world|world would|brain brian
reserve reverse|personal personnel|principal principle|sue use|thing think|things thinks
ration ratio|addition edition|device devise|advice advise|prince princess|hostess hotness
singe single|barley barely|contact contract|insulin inulin|creatine creatinine|adenine adenosine
chorea cholera|chose choose|holy holly|diner dinner|super supper|coma comma|fury furry|tiny tinny
expect except|expand expend|collage college|statuary statutory|venial venal
"""


@lru_cache(maxsize=1)
def _opposites() -> dict[str, frozenset[str]]:
    return _by_word(_OPPOSITES)


@lru_cache(maxsize=1)
def _confusable() -> dict[str, frozenset[str]]:
    return _by_word(_CONFUSABLE)


def opposites_of(word: str) -> frozenset[str]:
    """Returns the words that mean the opposite of a casefolded word."""
    return _opposites().get(word, frozenset())


def are_other_words(left: str, right: str) -> bool:
    """Returns whether both are words of their own that are known to be mistaken for each other."""
    return right in opposites_of(left) or right in _confusable().get(left, ())


def _by_word(pairs: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in pairs.replace("\n", "|").split("|"):
        for word in (words := pair.split()):
            found.setdefault(word, set()).update(set(words) - {word})
    return {word: frozenset(others) for word, others in found.items()}
