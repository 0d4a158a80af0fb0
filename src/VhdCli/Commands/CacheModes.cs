using System.CommandLine;
using VhdCore.Storage;

namespace VhdCli.Commands;

/// <summary>qemu-img's cache modes. Only whether the page cache is used makes a difference: what is written is flushed once, at the end, whatever they say.</summary>
internal static class CacheModes
{
    private static readonly string[] Words = ["none", "writeback", "writethrough", "directsync", "unsafe"];

    public static Option<string?> Option(string name, string description) => Values.WordOption(description, "CACHE", Words, name);

    /// <summary>What a word asks for; null where there is none.</summary>
    public static StorageCache? Of(string? word) => word switch
    {
        null => null,
        "none" or "directsync" => StorageCache.None,
        _ => StorageCache.Writeback,
    };
}
