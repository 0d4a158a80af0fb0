using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;

namespace VhdCore.Fuzz;

/// <summary>
/// Opens a case for writing: closed without a write, the disk reads as it did; after some, it differs in those writes alone, the parents not at all, and the
/// check finds nothing corrupt that it did not find before. What the disk reads as is the library's word, given under the writer's own rules: of two footers
/// that differ, the independent reader may know only the one that does not count. Where it agrees before, it has to agree after.
/// </summary>
internal static class WriterOracle
{
    private const long MaxLength = 2L << 20; // bytes of disk
    private const long MaxGrowth = 64L << 20; // bytes; a block that the file's end cut off may be filled up

    /// <exception cref="OracleException">The library broke its word.</exception>
    public static async Task JudgeAsync(FuzzCase fuzzCase, FuzzVariant variant)
    {
        var resolver = Oracle.Resolver(fuzzCase, variant);
        if (await ReadAllAsync(fuzzCase, resolver) is not { } before)
        {
            return;
        }

        var isAgreed = Contents(fuzzCase.Leaf, fuzzCase.Files).Exists(content => content.AsSpan().SequenceEqual(before));
        if (await OpenAsync(fuzzCase, resolver) is not { } untouched)
        {
            return;
        }

        if (!await CloseAsync(untouched))
        {
            return;
        }

        await RequireContentAsync(fuzzCase, resolver, before, isAgreed, "opening for writing and closing");

        var corruptions = await Descriptions.CorruptionsAsync("/" + fuzzCase.Leaf, resolver);
        var random = new Random(fuzzCase.Files[fuzzCase.Leaf].Length);
        for (var session = 0; session < 2; session++)
        {
            if (await OpenAsync(fuzzCase, resolver) is not { } disk)
            {
                throw new OracleException("What could be opened for writing cannot be opened again.");
            }

            var done = await ScribbleAsync(disk, before, random);
            if (!await CloseAsync(disk))
            {
                return; // a medium that cannot grow was full, say: nothing is promised of what was not flushed
            }

            await RequireContentAsync(fuzzCase, resolver, before, isAgreed, done);
        }

        if ((await Descriptions.CorruptionsAsync("/" + fuzzCase.Leaf, resolver)).Except(corruptions).FirstOrDefault() is { } news)
        {
            throw new OracleException($"After writing, the check finds {news}, which it did not before.");
        }
    }

    /// <summary>The whole content as the library reads it without being asked to overlook anything; null where it refuses a part, and for large disks.</summary>
    private static async Task<byte[]?> ReadAllAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver)
    {
        try
        {
            await using var disk = await VirtualDisk.OpenAsync("/" + fuzzCase.Leaf, new ImageOpenOptions { OnWarning = _ => { } }, resolver);
            if (disk.Length > MaxLength)
            {
                return null;
            }

            var content = new byte[(int)disk.Length];
            await disk.ReadAsync(0, content);
            return content;
        }
        catch (ImageException)
        {
            return null;
        }
        catch (Exception exception)
        {
            throw new OracleException($"{exception.GetType().Name} came out of reading everything.", exception);
        }
    }

    /// <summary>A few writes, zeros and flushes, on the disk and on its expected content alike.</summary>
    private static async Task<string> ScribbleAsync(VirtualDisk disk, byte[] expected, Random random)
    {
        var done = new List<string>();
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var unit = random.Next(3) switch { 0 => 1, 1 => 512, _ => 4096 };
            var offset = random.Next(expected.Length) / unit * unit;
            var bytes = new byte[Math.Min(expected.Length - offset, random.Next(1, 4) * (unit == 1 ? 700 : unit))];
            var kind = random.Next(6) switch { 0 => "zeroing", 1 => "trimming", _ => "writing" };
            if (kind == "writing")
            {
                random.NextBytes(bytes);
            }

            var status = kind switch
            {
                "zeroing" => await disk.Device.ZeroAsync(offset, bytes.Length),
                "trimming" => await disk.Device.TrimAsync(offset, bytes.Length),
                _ => await disk.Device.WriteBytesAsync(offset, bytes),
            };
            done.Add($"{kind} {bytes.Length} bytes at {offset}: {status}");
            if (status == BlockStatus.Ok && kind != "trimming")
            {
                bytes.CopyTo(expected, offset);
            }
            else
            {
                TakeOver(await disk.Device.ReadBytesAsync(offset, bytes.Length), bytes, expected.AsSpan(offset, bytes.Length), string.Join(", ", done));
            }

            if (random.Next(4) == 0)
            {
                await disk.Device.FlushAsync();
            }
        }

        return string.Join(", ", done);
    }

    /// <summary>After a trim, or a write that failed: each byte is the old one or the new one, and what it is, it stays.</summary>
    private static void TakeOver(byte[] actual, byte[] written, Span<byte> expected, string done)
    {
        for (var i = 0; i < actual.Length; i++)
        {
            if (actual[i] != expected[i] && actual[i] != written[i])
            {
                throw new OracleException($"After {done}, byte {i} of the range is neither what was there nor what was put there.");
            }

            expected[i] = actual[i];
        }
    }

    private static async Task<VirtualDisk?> OpenAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver)
    {
        try
        {
            return await VirtualDisk.OpenAsync("/" + fuzzCase.Leaf, new ImageOpenOptions { Writable = true, OnWarning = _ => { } }, resolver);
        }
        catch (ImageException)
        {
            return null;
        }
        catch (Exception exception)
        {
            throw new OracleException($"{exception.GetType().Name} came out of opening for writing.", exception);
        }
    }

    /// <summary>Whether everything that was written is durable.</summary>
    private static async Task<bool> CloseAsync(VirtualDisk disk)
    {
        try
        {
            await disk.FlushAsync();
            await disk.DisposeAsync();
            return true;
        }
        catch (ImageException)
        {
            return false;
        }
        catch (Exception exception)
        {
            throw new OracleException($"{exception.GetType().Name} came out of closing.", exception);
        }
    }

    private static async Task RequireContentAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver, byte[] expected, bool isAgreed, string doing)
    {
        if (!await HasGrownInBoundsAsync(fuzzCase, resolver, doing))
        {
            return; // too long to look at, and rightly so
        }

        var files = fuzzCase.Files.Keys.ToDictionary(name => name, name => resolver.GetBytes("/" + name));
        foreach (var name in files.Keys)
        {
            if (name != fuzzCase.Leaf && !files[name].AsSpan().SequenceEqual(fuzzCase.Files[name]))
            {
                throw new OracleException($"The parent {name} was changed by {doing}.");
            }
        }

        if (await ReadAllAsync(fuzzCase, resolver) is not { } actual)
        {
            throw new OracleException($"After {doing}, the disk cannot be read any more.");
        }

        if (!actual.AsSpan().SequenceEqual(expected))
        {
            throw new OracleException($"After {doing}, byte {actual.AsSpan().CommonPrefixLength(expected)} of {actual.Length} is not what it should be, of {expected.Length}.");
        }

        if (!isAgreed)
        {
            return;
        }

        // Of parents whose footers differ, one of the two may be smaller: what the leaf holds is right if either way of reading finds it.
        var contents = Contents(fuzzCase.Leaf, files);
        if (contents.Count == 0)
        {
            throw new OracleException($"After {doing}, the independent reader cannot read the disk.");
        }

        if (!contents.Exists(content => content.AsSpan().SequenceEqual(expected)))
        {
            var at = contents[0].AsSpan().CommonPrefixLength(expected);
            throw new OracleException($"After {doing}, byte {at} of the disk is not what it should be to the independent reader.");
        }
    }

    /// <summary>Whether the leaf's file is short enough to be looked at; longer than its blocks' size gives reason for, it may not be.</summary>
    private static async Task<bool> HasGrownInBoundsAsync(FuzzCase fuzzCase, MemoryStorageResolver resolver, string doing)
    {
        await using var storage = await resolver.OpenAsync("/" + fuzzCase.Leaf, StorageOpenOptions.ForReading);
        var growth = storage.Length - fuzzCase.Files[fuzzCase.Leaf].Length;
        var readers = Oracle.PlainReaders(fuzzCase, ignoresChecksums: true);
        var blockSize = readers.Select(reader => reader.Images[0].BlockSize).DefaultIfEmpty().Max();
        readers.ForEach(reader => reader.Dispose());
        return growth <= MaxGrowth + (10 * blockSize)
            ? growth <= MaxGrowth
            : throw new OracleException($"{doing} made a file of {fuzzCase.Files[fuzzCase.Leaf].Length} bytes {storage.Length} long.");
    }

    /// <summary>The whole content, by each of the independent reader's ways to look at the case that can read all of it.</summary>
    private static List<byte[]> Contents(string leaf, IReadOnlyDictionary<string, byte[]> files)
    {
        var contents = new List<byte[]>();
        foreach (var reader in Oracle.PlainReaders(new FuzzCase("", leaf, files)))
        {
            using (reader)
            {
                try
                {
                    if (reader.Length <= MaxLength)
                    {
                        contents.Add(reader.ReadAll());
                    }
                }
                catch (PlainFormatException)
                {
                    // A block that lies outside the file.
                }
            }
        }

        return contents;
    }
}
