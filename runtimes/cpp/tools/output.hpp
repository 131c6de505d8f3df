// What a program writes is whole, or it says why it is not.
#pragma once

#include <cstdio>
#include <string>

namespace tools {

/// Called before anything is opened: a stream that is closed would be given to the next file, which what is printed
/// would spoil. Printing to a closed standard output then fails. Nor does a closed pipe or a limit on the sizes of
/// files end the program by a signal: it is an error like another.
void guard_streams();

/// Asked before the work that it would be lost with: nothing, if a file can be written there, and does not exist or may
/// be replaced. Throws std::runtime_error, in Python's words.
void check_output(const std::string& path, bool force);

/// Writes a file whole or not at all; into a device or a pipe it goes as it comes. Throws std::runtime_error with the
/// reason.
void write_whole(const std::string& path, const std::string& content);

/// To stdout or stderr; of what stdout refuses, `flushed` says why.
void print(std::FILE* to, const std::string& text);

/// The exit status: `status` if all that was printed has arrived, 141 if nobody reads it any more, and else 1, with the
/// reason on stderr. Where what was asked for is `in_files`, a stdout that was closed on purpose loses nothing.
int flushed(int status, bool in_files = false);

}  // namespace tools
