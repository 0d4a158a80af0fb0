using System.CommandLine;
using VhdCore.Storage;

namespace VhdCli.Commands;

/// <summary>How images are read and written: every verb that opens one has these.</summary>
internal sealed class IoFlags
{
    private readonly Option<string?> _cache = CacheModes.Option("--cache", "writeback, by default, or none: past the page cache, which leaves it to others and takes less CPU.");
    private readonly Option<string?> _engine = Values.WordOption(
        "What waits for the disk: uring or portable. By default the first where the kernel has it, and neither while the page cache is used.", "ENGINE", ["uring", "portable"], "--engine");

    public IoFlags(Command command)
    {
        command.Add(_cache);
        command.Add(_engine);
    }

    /// <summary>What was asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="session">The run.</param>
    /// <param name="cacheWord">The cache mode that another option names; null leaves it to --cache.</param>
    public IoSettings Read(ParseResult parsed, CliSession session, string? cacheWord = null)
    {
        var cache = CacheModes.Of(cacheWord ?? parsed.GetValue(_cache)) ?? StorageCache.Writeback;
        var engine = parsed.GetValue(_engine) switch
        {
            "uring" => StorageEngine.Uring,
            "portable" => StorageEngine.Portable,
            _ => StorageEngine.Auto,
        };

        // A verb's own threads wait for the page cache as well as any other would.
        var io = cache == StorageCache.Writeback && engine == StorageEngine.Auto ? IoSettings.Batch : new IoSettings { Cache = cache, Engine = engine };
        if (session.IsVerbose && io.Waits != CallerWaits.ForMedium)
        {
            session.Trace($"cache {cache}, engine {StorageEngines.Describe(engine)}");
        }

        return io;
    }
}
