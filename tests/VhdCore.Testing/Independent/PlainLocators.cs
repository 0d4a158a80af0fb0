using System.Text;

namespace VhdCore.Testing.Independent;

/// <summary>A differencing disk's names for its parent.</summary>
internal static class PlainLocators
{
    /// <summary>Names with '/' between folders, in the order to try.</summary>
    public static IEnumerable<string> Names(Stream file, byte[] header)
    {
        for (var i = 0; i < 8; i++)
        {
            var entry = 576 + (i * 24);
            var length = PlainBytes.Number(header, entry + 8, 4);
            var offset = PlainBytes.Number(header, entry + 16, 8);
            if (length > 65536 || offset > (ulong)file.Length)
            {
                continue;
            }

            var data = PlainBytes.Read(file, (long)offset, (int)length);
            if (PlainBytes.HasText(header, entry, "MacX"))
            {
                var url = Encoding.UTF8.GetString(data);
                yield return url.StartsWith("file://", StringComparison.Ordinal) ? url["file://".Length..] : url;
            }
            else if (PlainBytes.HasText(header, entry, "Wi2k") || PlainBytes.HasText(header, entry, "Wi2r"))
            {
                yield return Slashes(Encoding.Latin1.GetString(data));
            }
            else if (PlainBytes.HasText(header, entry, "W2ku") || PlainBytes.HasText(header, entry, "W2ru"))
            {
                yield return Slashes(Encoding.Unicode.GetString(data));
            }
        }

        var name = Slashes(Encoding.BigEndianUnicode.GetString(PlainBytes.Part(header, 64, 512)));
        yield return name;
        yield return name[(name.LastIndexOf('/') + 1)..];
    }

    private static string Slashes(string name)
    {
        var end = name.IndexOf('\0', StringComparison.Ordinal);
        return (end < 0 ? name : name[..end]).Replace('\\', '/');
    }
}
