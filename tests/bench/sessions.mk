# What a build prints: twenty compilations with warnings, for sessions.py.
all: $(foreach i,1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20,f$(i).o)
f%.o: f%.c
	$(CC) -Wall -Wextra -g -O0 -c -o $@ $<
f%.c:
	printf 'int f%s(int unused, char *other)\n{\n\tint x;\n\tchar y = 1000;\n\n\treturn x;\n}\n' $* >$@
