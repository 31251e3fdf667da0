// Numbers as people type them. Pure; no locale.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rex {

// All of `text` as a decimal number 0..2^64-1, digits only; nullopt otherwise.
std::optional<uint64_t> ParseWhole(std::string_view text);

// Digits with at most one decimal point ("2", "0.25", ".5", "3."), times `unit`, rounded down to
// microseconds. nullopt when it is anything else or above 2^31-1 milliseconds (about 24 days).
std::optional<std::chrono::microseconds> ParseTime(std::string_view text,
                                                   std::chrono::microseconds unit);

// Digits with at most one of K, M, G behind them (either case; 1024, 1024^2, 1024^3): "512", "64M".
// nullopt when it is anything else or above 2^64-1.
std::optional<uint64_t> ParseBytes(std::string_view text);

}  // namespace rex
