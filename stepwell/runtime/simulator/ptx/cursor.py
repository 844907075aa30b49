"""A place in a list of tokens."""

from stepwell.runtime.simulator.ptx.lexer import Token, integer, syntax_error
from stepwell.support.errors import PtxSyntaxError


class Cursor:
    """Reads tokens one after the other.

    Args:
        tokens: of the whole module.
        lines: lines of its text, for messages.
        position: of the next token.
    """

    def __init__(self, tokens: list[Token], lines: list[str], position: int = 0) -> None:
        self.tokens = tokens
        self.lines = lines
        self.position = position

    @property
    def next(self) -> Token:
        """The next token, which stays where it is."""
        return self.tokens[self.position]

    def at(self, *texts: str) -> bool:
        """Whether the next token is one of these."""
        return self.tokens[self.position].text in texts

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.tokens[self.position]
        if token.kind != "end":
            self.position += 1
        return token

    def accept(self, text: str) -> bool:
        """Go past the next token if it is this one."""
        if self.tokens[self.position].text != text:
            return False
        self.position += 1
        return True

    def expect(self, text: str) -> Token:
        """Go past the next token, which must be this one."""
        if self.tokens[self.position].text != text:
            raise self.error(f"expected '{text}', found '{self.next.text}'")
        return self.take()

    def word(self, what: str) -> str:
        """Return the next token, which must be a name."""
        if self.next.kind != "word":
            raise self.error(f"expected {what}, found '{self.next.text}'")
        return self.take().text

    def integer(self) -> int:
        """Return the value of the next token, which must be an integer, with a sign perhaps."""
        sign = -1 if self.accept("-") else 1
        if self.next.kind != "int":
            raise self.error(f"expected an integer, found '{self.next.text}'")
        return sign * integer(self.take().text)

    def skip_braces(self) -> int:
        """Go past a block in braces; return the position of the token after its opening brace."""
        opening = self.expect("{")
        start, depth = self.position, 1
        while depth:
            token = self.take()
            if token.kind == "end":
                raise syntax_error("this '{' is never closed", opening.line, self.lines[opening.line - 1])
            depth += (token.text == "{") - (token.text == "}")
        return start

    def rest_of_line(self) -> list[Token]:
        """Return the tokens up to the end of the line of the last token taken."""
        line = self.tokens[self.position - 1].line
        first = self.position
        while self.next.line == line and self.next.kind != "end":
            self.position += 1
        return self.tokens[first : self.position]

    def text(self, first: Token) -> str:
        """Return the source from a token up to the last one taken, on one line, without comments."""
        last = self.tokens[max(self.position - 1, 0)].line
        return " ".join(" ".join(line.split("//")[0] for line in self.lines[first.line - 1 : last]).split())

    def error(self, message: str, token: Token | None = None) -> PtxSyntaxError:
        """Return a syntax error at a token, the next one by default."""
        line = (token or self.next).line
        return syntax_error(message, line, self.lines[line - 1] if line <= len(self.lines) else "")
